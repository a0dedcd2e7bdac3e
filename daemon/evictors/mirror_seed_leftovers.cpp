#include "daemon/evictors/mirror_seed_leftovers.h"

#include <utility>

#include "common/format.h"
#include "common/system_folders.h"
#include "daemon/evictors/deadlines.h"
#include "daemon/evictors/eviction_result.h"
#include "daemon/policy/mirrors.h"

namespace buildwarden::disk {
ports::Async<std::vector<policy::Candidate>> MirrorSeedLeftovers::list(const policy::RungTurn&) {
  return list_leftovers();
}

ports::Async<ports::EvictionResult> MirrorSeedLeftovers::evict(const policy::Candidate& candidate,
                                                               const policy::RungTurn&) {
  return evict_planned(candidate);
}

ports::Async<std::vector<policy::Candidate>> MirrorSeedLeftovers::list_leftovers() {
  std::vector<policy::Candidate> candidates;
  forget_list();
  if (!parts_.clock_is_steady()) co_return candidates;
  std::function<Result<CachesSeen>()> work = [folder = parts_.settings.paths.git_mirrors, stop = stop_.get_token()] {
    return look_at_caches({folder}, {kSystemFolders.begin(), kSystemFolders.end()}, stop,
                          policy::is_mirror_seed_leftover);
  };
  auto seen = co_await parts_.workers.compute<CachesSeen>(std::move(work), kLookDeadline);
  if (!seen) co_return std::move(seen).error();
  const Now now = parts_.clock.now();
  for (auto& entry : seen->entries) {
    candidates.push_back(entry_candidate(entry, format("left-over seed of a git mirror {}", entry.path()), now));
    planned_.emplace(entry.path(), std::move(entry));
  }
  co_return candidates;
}

ports::Async<ports::EvictionResult> MirrorSeedLeftovers::evict_planned(policy::Candidate candidate) {
  const auto planned = planned_.find(candidate.id);
  if (planned == planned_.end()) co_return dropped("it is not of the last plan");
  std::function<Result<ports::EvictionResult>()> work = [entry = planned->second, stop = stop_.get_token()] {
    return remove_cache(entry, stop);
  };
  co_return co_await parts_.workers.compute<ports::EvictionResult>(std::move(work), kRemoveDeadline);
}

}  // namespace buildwarden::disk
