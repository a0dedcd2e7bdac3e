#include "daemon/evictors/containers.h"

#include <algorithm>
#include <utility>

#include "common/format.h"
#include "daemon/evictors/eviction_result.h"
#include "daemon/ports/buildx_objects.h"

namespace buildwarden::disk {
namespace {

using policy::ContainerState;

bool ended(ContainerState state) {
  return state == ContainerState::kExited || state == ContainerState::kCreated || state == ContainerState::kDead;
}

// Why it is not for this rung, by what the list and the holders say; "" when it is.
std::string spared(const ports::ContainerRecord& container, const ports::InUseSet& held) {
  const auto owner = container.labels.find(std::string(ports::kOwnerLabel));
  if (owner != container.labels.end() && owner->second == ports::kOwner) return "a container of buildwarden";
  if (held.container_names.contains(container.name)) return format("held as {}", container.name);
  // Rung 7 knows when such a one is an orphan.
  if (container.name.starts_with(ports::kBuildxPrefix)) return "a builder that a job made";
  return "";
}

const char* word_of(ContainerState state) {
  if (state == ContainerState::kCreated) return "never started";
  return state == ContainerState::kDead ? "dead" : "exited";
}

}  // namespace

ports::Async<std::vector<policy::Candidate>> EndedContainers::list(const policy::RungTurn& turn) {
  return list_ended(turn);
}

ports::Async<ports::EvictionResult> EndedContainers::evict(const policy::Candidate& candidate,
                                                           const policy::RungTurn&) {
  return evict_after_asking(candidate);
}

ports::Async<std::vector<policy::Candidate>> EndedContainers::list_ended(policy::RungTurn turn) {
  std::vector<policy::Candidate> candidates;
  if (!parts_.clock_is_steady()) co_return candidates;
  auto engine = running_engine(parts_.engine);
  if (!engine) co_return std::move(engine).error();
  planned_on_ = *std::move(engine);
  const auto containers = co_await parts_.containers.list_containers();
  if (!containers) co_return containers.error();
  const auto held = parts_.in_use.now();
  for (const auto& container : *containers) {
    if (!ended(container.state)) continue;
    policy::Candidate candidate;
    candidate.id = container.id;
    // A named one has such a name only where somebody chose it, and that one stays.
    const bool has_volumes = std::any_of(container.volumes.begin(), container.volumes.end(), ports::is_unnamed_volume);
    const auto device = device_of(has_volumes);
    if (!device) continue;
    candidate.device = *device;
    candidate.name = format("container {} ({}{})", container.name, word_of(container.state),
                            has_volumes ? ", with its anonymous volumes" : "");
    candidate.kept_as = format("container:{}", container.name);
    candidate.protected_as = spared(container, held);
    auto details = co_await parts_.ended.describe_container(container.id, false);
    if (!details && details.error().code() == Errc::kNotFound) continue;
    if (!details) co_return std::move(details).error();
    if (!ended(details->state)) continue;
    if (details->comes_back) candidate.protected_as = "its restart policy may start it again";
    candidate.last_use.at = details->last_active;
    // The engine keeps these times itself; whether its clock can be trusted was asked before.
    candidate.last_use.observed = std::max(Duration{0}, parts_.clock.now().wall - details->last_active);
    // Only what may go is measured.
    if (candidate.protected_as.empty() && candidate.last_use.observed >= turn.age) {
      const auto measured = co_await parts_.ended.describe_container(container.id, true);
      if (measured) candidate.size = measured->size;
      candidate.is_unsized = !measured || has_volumes;
    }
    candidates.push_back(std::move(candidate));
  }
  co_return candidates;
}

std::optional<std::string> EndedContainers::device_of(bool has_volumes) const {
  auto own = parts_.device_of(ports::Kept::kImages);
  auto volumes = has_volumes ? parts_.device_of(ports::Kept::kVolumes) : own;
  if (own.empty() && volumes.empty()) return std::nullopt;
  if (own.empty()) return volumes;
  return own == volumes || volumes.empty() ? own : std::string();
}

ports::Async<std::string> EndedContainers::changed(policy::Candidate candidate) {
  const auto containers = co_await parts_.containers.list_containers();
  if (!containers) co_return containers.error();
  const auto held = parts_.in_use.now();
  for (const auto& container : *containers) {
    if (container.id != candidate.id) continue;
    auto role = spared(container, held);
    if (!role.empty()) co_return format("protected: {}", role);
  }
  const auto details = co_await parts_.ended.describe_container(candidate.id, false);
  if (!details && details.error().code() == Errc::kNotFound) co_return std::string("already gone");
  if (!details) co_return details.error();
  if (!ended(details->state)) co_return std::string("it runs again");
  if (details->comes_back) co_return std::string("its restart policy may start it again now");
  if (details->last_active != candidate.last_use.at) {
    co_return format("used since the plan, at {}", format_rfc3339(details->last_active));
  }
  co_return engine_changed(parts_.engine.status(), planned_on_);
}

ports::Async<ports::EvictionResult> EndedContainers::evict_after_asking(policy::Candidate candidate) {
  const auto reason_to_keep = co_await changed(candidate);
  if (!reason_to_keep) co_return reason_to_keep.error();
  if (!reason_to_keep->empty()) co_return dropped(*reason_to_keep);
  const auto removed = co_await parts_.ended.remove_ended_container(candidate.id);
  co_return evicted_or_dropped(removed, candidate.size);
}

}  // namespace buildwarden::disk
