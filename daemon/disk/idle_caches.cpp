#include "daemon/disk/idle_caches.h"

#include <chrono>
#include <utility>

#include "common/format.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kLook = std::chrono::seconds{30};

}  // namespace

policy::IdleCacheFacts IdleCaches::facts_of(const Source& source) const {
  policy::IdleCacheFacts facts;
  facts.builder = source.builder;
  for (const auto& builder : parts_.builders.builders_view().builders) {
    if (builder.name != source.builder) continue;
    facts.warm = builder.state == policy::BuilderState::kWarm;
    facts.leases = builder.leases.size();
    facts.running_builds = builder.running_builds;
    facts.cache = builder.cache_bytes;
  }
  bool apart = false;
  for (const auto& filesystem : parts_.disk.disk_view().filesystems) {
    ports::Place place;
    place.device = filesystem.device;
    place.mount = filesystem.mount;
    place.paths = filesystem.paths;
    place.roles = filesystem.roles;
    // A builder's cache lies with the volumes, where these lie apart.
    const bool is_home = source.rung->frees(place) && filesystem.reading && (!apart || place.has_role("volumes"));
    if (is_home) facts.share = source.share.of(filesystem.reading->total);
    apart = apart || (is_home && place.has_role("volumes"));
  }
  return facts;
}

asio::awaitable<void> IdleCaches::turn() {
  const auto sources = parts_.sources();
  for (const auto& source : sources) {
    auto& memory = memory_[source.builder];
    const auto plan = policy::decide_idle_cache(facts_of(source), memory, parts_.clock.now());
    memory = plan.memory;
    if (plan.collect)
      co_await parts_.reclaimer.collect(source.rung, format("builder {}: {}", source.builder, plan.reason));
    if (pace_.stopped()) co_return;
  }
}

asio::awaitable<void> IdleCaches::run() {
  while (!pace_.stopped()) {
    co_await turn();
    co_await pace_.rest(kLook);
  }
}

}  // namespace buildwarden::disk
