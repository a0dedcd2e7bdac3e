#include "daemon/evictors/networks.h"

#include <algorithm>
#include <utility>

#include "common/format.h"
#include "daemon/evictors/eviction_result.h"

namespace buildwarden::disk {
namespace {

constexpr const char* kProjectLabel = "com.docker.compose.project";

std::string label_of(const std::map<std::string, std::string>& labels, const std::string& name) {
  const auto found = labels.find(name);
  return found == labels.end() ? std::string() : found->second;
}

// Who uses it: "container web", "compose project shop"; "" when nobody does.
std::string user_of(const ports::NetworkRecord& network, const std::vector<ports::ContainerRecord>& containers) {
  const auto project = label_of(network.labels, kProjectLabel);
  for (const auto& container : containers) {
    if (container.networks.contains(network.id) || container.networks.contains(network.name)) {
      return format("container {}", container.name);
    }
    if (!project.empty() && label_of(container.labels, kProjectLabel) == project) {
      return format("container {} of compose project {}", container.name, project);
    }
  }
  return "";
}

bool ours(const ports::NetworkRecord& network) {
  return label_of(network.labels, std::string(ports::kOwnerLabel)) == ports::kOwner;
}

}  // namespace

ports::Async<std::vector<policy::Candidate>> EmptyNetworks::list(const policy::RungTurn& turn) {
  return list_empty(turn);
}

ports::Async<ports::EvictionResult> EmptyNetworks::evict(const policy::Candidate& candidate, const policy::RungTurn&) {
  return evict_after_asking(candidate);
}

ports::Async<std::vector<policy::Candidate>> EmptyNetworks::list_empty(policy::RungTurn turn) {
  auto engine = running_engine(parts_.engine);
  if (!engine) co_return std::move(engine).error();
  planned_on_ = *std::move(engine);
  auto networks = co_await parts_.networks.list_networks();
  if (!networks) co_return std::move(networks).error();
  // After the networks: a container that was made in between is seen.
  auto containers = co_await parts_.containers.list_containers();
  if (!containers) co_return std::move(containers).error();
  std::erase_if(*containers,
                [&turn](const auto& container) { return policy::is_pretended(turn.pretended, container.id); });
  std::vector<policy::Candidate> candidates;
  for (const auto& network : *networks) {
    if (network.made_by_engine) continue;
    policy::Candidate candidate;
    candidate.id = network.id;
    candidate.name = format("network {}", network.name);
    candidate.kept_as = format("network:{}", network.name);
    candidate.in_use_by = user_of(network, *containers);
    if (!candidate.in_use_by.empty()) parts_.use.used(network.id);
    if (ours(network)) candidate.protected_as = "a network of buildwarden";
    candidate.last_use = parts_.use.last_use(network, parts_.clock.now());
    candidates.push_back(std::move(candidate));
  }
  co_return candidates;
}

ports::Async<ports::EvictionResult> EmptyNetworks::evict_after_asking(policy::Candidate candidate) {
  const auto networks = co_await parts_.networks.list_networks();
  if (!networks) co_return networks.error();
  const auto network = std::find_if(networks->begin(), networks->end(),
                                    [&candidate](const auto& one) { return one.id == candidate.id; });
  if (network == networks->end()) co_return dropped("already gone");
  const auto containers = co_await parts_.containers.list_containers();
  if (!containers) co_return containers.error();
  const auto user = user_of(*network, *containers);
  if (!user.empty()) co_return dropped(format("in use by {}", user));
  const auto use = parts_.use.last_use(*network, parts_.clock.now());
  if (use.at != candidate.last_use.at) co_return dropped(format("used since the plan, at {}", format_rfc3339(use.at)));
  auto change = engine_changed(parts_.engine.status(), planned_on_);
  if (!change.empty()) co_return dropped(std::move(change));
  const auto removed = co_await parts_.networks.remove_network(candidate.id);
  co_return evicted_or_dropped(removed, 0);
}

}  // namespace buildwarden::disk
