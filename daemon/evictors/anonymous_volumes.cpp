#include "daemon/evictors/anonymous_volumes.h"

#include <algorithm>
#include <utility>

#include "common/format.h"
#include "daemon/evictors/eviction_result.h"
#include "daemon/ports/buildx_objects.h"

namespace buildwarden::disk {
namespace {

constexpr std::size_t kShortId = 12;

// "container web"; "" when no container mounts it, running or not.
std::string mounter_of(const std::string& volume, const std::vector<ports::ContainerRecord>& containers) {
  const auto found = std::find_if(containers.begin(), containers.end(),
                                  [&volume](const auto& container) { return container.volumes.contains(volume); });
  return found == containers.end() ? std::string() : format("container {}", found->name);
}

}  // namespace

ports::Async<std::vector<policy::Candidate>> AnonymousVolumes::list(const policy::RungTurn& turn) {
  return list_unused(turn);
}

ports::Async<ports::EvictionResult> AnonymousVolumes::evict(const policy::Candidate& candidate,
                                                            const policy::RungTurn&) {
  return evict_after_asking(candidate);
}

// Containers last: one that was made in between is seen to mount its volume.
ports::Async<AnonymousVolumes::World> AnonymousVolumes::look() {
  World world;
  auto volumes = co_await parts_.volumes.list_volumes("");
  if (!volumes) co_return std::move(volumes).error();
  auto containers = co_await parts_.containers.list_containers();
  if (!containers) co_return std::move(containers).error();
  world.volumes = *std::move(volumes);
  std::erase_if(world.volumes, [](const auto& volume) { return !ports::is_anonymous_volume(volume); });
  world.containers = *std::move(containers);
  co_return world;
}

ports::Async<std::vector<policy::Candidate>> AnonymousVolumes::list_unused(policy::RungTurn turn) {
  std::vector<policy::Candidate> candidates;
  auto engine = known_engine(parts_.engine, parts_.ledger);
  if (!engine) co_return std::move(engine).error();
  planned_on_ = *std::move(engine);
  auto world = co_await look();
  if (!world) co_return std::move(world).error();
  // What goes with a container that is pretended to be deleted is counted there.
  for (const auto& volume : world->volumes) {
    auto candidate = describe(volume);
    candidate.in_use_by = mounter_of(volume.name, world->containers);
    candidates.push_back(std::move(candidate));
  }
  co_return candidates;
}

policy::Candidate AnonymousVolumes::describe(const ports::VolumeRecord& volume) const {
  policy::Candidate candidate;
  candidate.id = volume.name;
  candidate.name = format("anonymous volume {}", volume.name.substr(0, kShortId));
  candidate.kept_as = format("volume:{}", volume.name);
  candidate.is_unsized = true;
  candidate.last_use = parts_.ledger.last_use(ports::volume_row(volume.name), parts_.clock.now());
  if (volume.created) candidate.last_use.at = std::max(candidate.last_use.at, *volume.created);
  return candidate;
}

ports::Async<ports::EvictionResult> AnonymousVolumes::evict_after_asking(policy::Candidate candidate) {
  const auto world = co_await look();
  if (!world) co_return world.error();
  const auto volume = std::find_if(world->volumes.begin(), world->volumes.end(),
                                   [&candidate](const auto& one) { return one.name == candidate.id; });
  if (volume == world->volumes.end()) co_return dropped("already gone");
  const auto mounter = mounter_of(volume->name, world->containers);
  if (!mounter.empty()) co_return dropped(format("in use by {}", mounter));
  const auto use = describe(*volume).last_use;
  if (use.at != candidate.last_use.at) co_return dropped(format("used since the plan, at {}", format_rfc3339(use.at)));
  auto change = engine_changed(parts_.engine.status(), planned_on_);
  if (!change.empty()) co_return dropped(std::move(change));
  const auto removed = co_await parts_.volumes.remove_volume(candidate.id);
  co_return evicted_or_dropped(removed, 0);
}

}  // namespace buildwarden::disk
