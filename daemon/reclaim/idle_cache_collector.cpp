#include "daemon/reclaim/idle_cache_collector.h"

#include <chrono>
#include <utility>

#include "common/format.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kLook = std::chrono::seconds{30};

}  // namespace

policy::IdleCacheFacts IdleCacheCollector::facts_of(const Source& source) const {
  policy::IdleCacheFacts facts;
  facts.builder = source.builder;
  for (const auto& builder : parts_.builders.builders_view().builders) {
    if (builder.name != source.builder) continue;
    facts.warm = builder.state == policy::BuilderState::kWarm;
    facts.leases = builder.leases.size();
    facts.running_builds = builder.running_builds;
    facts.cache = builder.cache_bytes;
  }
  for (const auto& filesystem : parts_.disk.disk_view().filesystems) {
    // A builder's cache is a volume.
    const bool is_home = source.rung->frees(filesystem) && filesystem.keeps.contains(ports::Kept::kVolumes);
    if (is_home && filesystem.reading) facts.share = source.share.of(filesystem.reading->total);
  }
  return facts;
}

policy::RungTurn IdleCacheCollector::collection_turn() const {
  policy::RungTurn turn{.rung = policy::RungId::kBuildCacheShare};
  turn.age = parts_.settings.disk.grace;
  turn.engine_cache = false;
  return turn;
}

asio::awaitable<void> IdleCacheCollector::turn() {
  const auto sources = parts_.sources();
  for (const auto& source : sources) {
    auto& memory = memory_[source.builder];
    const auto plan = policy::decide_idle_cache(facts_of(source), memory, parts_.clock.now());
    memory = plan.memory;
    if (plan.collect) {
      auto for_whom = format("builder {}: {}", source.builder, plan.reason);
      co_await parts_.reclaimer.collect(source.rung, collection_turn(), std::move(for_whom));
    }
    if (loop_timer_.stopped()) co_return;
  }
}

asio::awaitable<void> IdleCacheCollector::run() {
  while (!loop_timer_.stopped()) {
    co_await turn();
    co_await loop_timer_.sleep_for(kLook);
  }
}

}  // namespace buildwarden::disk
