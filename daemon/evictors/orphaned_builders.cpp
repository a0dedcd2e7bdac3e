#include "daemon/evictors/orphaned_builders.h"

#include <algorithm>
#include <utility>

#include "common/format.h"
#include "daemon/evictors/eviction_result.h"

namespace buildwarden::disk {
namespace {

using policy::ContainerState;

constexpr std::string_view kContainer = "container ";
constexpr std::string_view kVolume = "volume ";

bool runs(ContainerState state) { return state == ContainerState::kRunning; }

// Compose and swarm say so of what they made; buildx sets no labels.
bool is_of_a_service(const std::map<std::string, std::string>& labels) {
  return std::any_of(labels.begin(), labels.end(),
                     [](const auto& label) { return label.first.starts_with("com.docker."); });
}

// Why a container must stay, by what the lists say; "" when it is an orphan perhaps.
std::string spared(const ports::ContainerRecord& container, const std::string& owner, const ports::InUseSet& held) {
  if (held.container_names.contains(container.name)) return format("held as {}", container.name);
  if (!owner.empty()) return owner;
  if (is_of_a_service(container.labels)) return "a service of compose or swarm";
  if (container.state == ContainerState::kPaused) return "somebody paused it";
  if (container.state == ContainerState::kRestarting) return "it is being restarted";
  return "";
}

std::string spared(const ports::VolumeRecord& volume) {
  if (!volume.is_plain) return "a volume of another driver, or with options";
  return volume.labels.empty() ? "" : "somebody labelled it";
}

bool is_mounted(const std::string& volume, const std::vector<ports::ContainerRecord>& containers) {
  return std::any_of(containers.begin(), containers.end(),
                     [&volume](const auto& container) { return container.volumes.contains(volume); });
}

template <class Records>
auto named(const Records& records, const std::string& name) {
  return std::find_if(records.begin(), records.end(), [&name](const auto& one) { return one.name == name; });
}

std::string owner_of(const std::map<std::string, std::string>& owners, const std::string& container) {
  const auto owner = owners.find(container);
  return owner == owners.end() ? std::string() : owner->second;
}

}  // namespace

ports::Async<std::vector<policy::Candidate>> OrphanedBuilders::list(const policy::RungTurn&) { return list_all(); }

ports::Async<ports::EvictionResult> OrphanedBuilders::evict(const policy::Candidate& candidate,
                                                            const policy::RungTurn&) {
  return evict_after_asking(candidate);
}

// Containers last: one that was made in between is seen to mount its volume.
ports::Async<OrphanedBuilders::World> OrphanedBuilders::look() {
  World world;
  auto owners = co_await parts_.owners.owners();
  if (!owners) co_return std::move(owners).error().with_context("whose builders they are");
  auto volumes = co_await parts_.volumes.list_volumes(std::string(ports::kBuildxPrefix));
  if (!volumes) co_return std::move(volumes).error();
  auto containers = co_await parts_.containers.list_containers();
  if (!containers) co_return std::move(containers).error();
  world.owners = *std::move(owners);
  world.volumes = *std::move(volumes);
  world.containers = *std::move(containers);
  co_return world;
}

ports::Async<std::vector<policy::Candidate>> OrphanedBuilders::list_all() {
  std::vector<policy::Candidate> candidates;
  auto engine = known_engine(parts_.engine, parts_.ledger);
  if (!engine) co_return std::move(engine).error();
  planned_on_ = *std::move(engine);
  auto world = co_await look();
  if (!world) co_return std::move(world).error();
  for (const auto& container : world->containers) {
    if (!ports::is_buildx_container(container)) continue;
    auto candidate = co_await describe(container, owner_of(world->owners, container.name));
    if (!candidate) co_return std::move(candidate).error();
    if (!candidate->id.empty()) candidates.push_back(*std::move(candidate));
  }
  for (const auto& volume : world->volumes) {
    if (!ports::is_buildx_volume(volume.name) || is_mounted(volume.name, world->containers)) continue;
    auto candidate = describe_volume(volume);
    auto owner = owner_of(world->owners, volume.name.substr(0, volume.name.rfind('_')));
    if (candidate.protected_as.empty()) candidate.protected_as = std::move(owner);
    candidates.push_back(std::move(candidate));
  }
  co_return candidates;
}

ports::Async<policy::Candidate> OrphanedBuilders::describe(ports::ContainerRecord container, std::string owner) {
  policy::Candidate candidate;
  const auto details = co_await parts_.ended.describe_container(container.id, false);
  if (!details && details.error().code() == Errc::kNotFound) co_return candidate;
  if (!details) co_return details.error();
  container.state = details->state;
  candidate.id = std::string(kContainer) + container.id;
  candidate.name = format("buildx's builder {} ({}) with its volume", container.name,
                          runs(details->state) ? "running" : "not running");
  candidate.references = {container.name, ports::state_volume_of(container.name)};
  candidate.is_unsized = true;
  candidate.protected_as = spared(container, owner, parts_.in_use.now());
  if (details->commands > 0) candidate.in_use_by = format("{} commands that run in it", details->commands);
  candidate.last_use = parts_.ledger.last_use(ports::builder_row(container.id), parts_.clock.now());
  candidate.last_use.at = std::max(candidate.last_use.at, details->last_active);
  co_return candidate;
}

policy::Candidate OrphanedBuilders::describe_volume(const ports::VolumeRecord& volume) const {
  policy::Candidate candidate;
  candidate.id = std::string(kVolume) + volume.name;
  candidate.name = format("volume {} of a builder that is gone", volume.name);
  candidate.references = {volume.name};
  candidate.is_unsized = true;
  candidate.protected_as = spared(volume);
  candidate.last_use = parts_.ledger.last_use(ports::volume_row(volume.name), parts_.clock.now());
  if (volume.created) candidate.last_use.at = std::max(candidate.last_use.at, *volume.created);
  return candidate;
}

std::string OrphanedBuilders::changed(const policy::Candidate& planned, const policy::Candidate& fresh) const {
  if (!fresh.in_use_by.empty()) return format("in use by {}", fresh.in_use_by);
  if (!fresh.protected_as.empty()) return format("protected: {}", fresh.protected_as);
  if (fresh.last_use.at != planned.last_use.at) {
    return format("used since the plan, at {}", format_rfc3339(fresh.last_use.at));
  }
  return engine_changed(parts_.engine.status(), planned_on_);
}

ports::Async<ports::EvictionResult> OrphanedBuilders::evict_after_asking(policy::Candidate candidate) {
  auto world = co_await look();
  if (!world) co_return std::move(world).error();
  if (candidate.id.starts_with(kVolume)) {
    const auto volume = named(world->volumes, candidate.id.substr(kVolume.size()));
    if (volume == world->volumes.end()) co_return dropped("already gone");
    if (is_mounted(volume->name, world->containers)) co_return dropped("a container mounts it again");
    auto why = changed(candidate, describe_volume(*volume));
    if (!why.empty()) co_return dropped(std::move(why));
    co_return co_await remove_volume(volume->name);
  }
  const auto id = candidate.id.substr(kContainer.size());
  const auto container =
      std::find_if(world->containers.begin(), world->containers.end(), [&id](const auto& one) { return one.id == id; });
  if (container == world->containers.end()) co_return dropped("already gone");
  auto fresh = co_await describe(*container, owner_of(world->owners, container->name));
  if (!fresh) co_return std::move(fresh).error();
  if (fresh->id.empty()) co_return dropped("already gone");
  auto why = changed(candidate, *fresh);
  if (!why.empty()) co_return dropped(std::move(why));
  const auto volume = named(world->volumes, ports::state_volume_of(container->name));
  const bool with_volume = volume != world->volumes.end() && spared(*volume).empty();
  co_return co_await remove_container(*container, with_volume);
}

// Whoever starts it between the two requests keeps it: a running one is not removed without force.
ports::Async<ports::EvictionResult> OrphanedBuilders::remove_container(ports::ContainerRecord container,
                                                                       bool with_volume) {
  if (runs(container.state)) {
    const auto stopped = co_await parts_.ended.stop_container(container.id);
    auto why = dropped_by_engine(stopped);
    if (!why) co_return std::move(why).error();
    if (!why->empty()) co_return dropped(*std::move(why));
  }
  const auto removed = co_await parts_.ended.remove_ended_container(container.id);
  auto taken = evicted_or_dropped(removed, 0);
  if (!taken || !taken->dropped.empty() || !with_volume) co_return taken;
  // Another container may mount it, or somebody be quicker: the builder is gone all the same.
  auto volume_taken = co_await remove_volume(ports::state_volume_of(container.name));
  if (!volume_taken) co_return std::move(volume_taken).error();
  co_return taken;
}

ports::Async<ports::EvictionResult> OrphanedBuilders::remove_volume(std::string name) {
  const auto removed = co_await parts_.volumes.remove_volume(std::move(name));
  co_return evicted_or_dropped(removed, 0);
}

}  // namespace buildwarden::disk
