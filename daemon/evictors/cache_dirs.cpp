#include "daemon/evictors/cache_dirs.h"

#include <utility>

#include "common/containerd_stores.h"
#include "common/format.h"
#include "common/system_folders.h"
#include "daemon/evictors/deadlines.h"
#include "daemon/evictors/eviction_result.h"

namespace buildwarden::disk {
ports::Async<std::vector<policy::Candidate>> CacheDirs::list(const policy::RungTurn&) { return list_entries(); }

ports::Async<ports::EvictionResult> CacheDirs::evict(const policy::Candidate& candidate, const policy::RungTurn&) {
  return evict_planned(candidate);
}

std::vector<std::string> CacheDirs::never() const {
  const auto& paths = parts_.settings.paths;
  std::vector<std::string> all = {kContainerdRoot, paths.run, paths.state, paths.images, paths.builds};
  all.insert(all.end(), kSystemFolders.begin(), kSystemFolders.end());
  for (auto& folder : parts_.engine_folders()) all.push_back(std::move(folder));
  std::erase(all, std::string());
  return all;
}

ports::Async<std::vector<policy::Candidate>> CacheDirs::list_entries() {
  std::vector<policy::Candidate> candidates;
  forget_list();
  if (!parts_.clock_is_steady() || parts_.settings.disk.cache_dirs.empty()) co_return candidates;
  std::function<Result<CachesSeen>()> work = [folders = parts_.settings.disk.cache_dirs, stays = never(),
                                              stop = stop_.get_token()] {
    return look_at_caches(folders, stays, stop);
  };
  auto seen = co_await parts_.workers.compute<CachesSeen>(work, kLookDeadline);
  if (!seen) co_return std::move(seen).error();
  const Now now = parts_.clock.now();
  for (const auto& [folder, why] : seen->refused)
    candidates.push_back(refused_candidate(format("all caches in {}", folder), why));
  for (auto& entry : seen->entries) {
    candidates.push_back(entry_candidate(entry, format("cache {}", entry.path()), now));
    planned_.emplace(entry.path(), std::move(entry));
  }
  co_return candidates;
}

ports::Async<ports::EvictionResult> CacheDirs::evict_planned(policy::Candidate candidate) {
  const auto planned = planned_.find(candidate.id);
  if (planned == planned_.end()) co_return dropped("it is not of the last plan");
  std::function<Result<ports::EvictionResult>()> work = [entry = planned->second, stop = stop_.get_token()] {
    return remove_cache(entry, stop);
  };
  co_return co_await parts_.workers.compute<ports::EvictionResult>(work, kRemoveDeadline);
}

}  // namespace buildwarden::disk
