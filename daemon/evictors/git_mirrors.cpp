#include "daemon/evictors/git_mirrors.h"

#include <memory>
#include <utility>

#include "common/format.h"
#include "common/log.h"
#include "daemon/evictors/deadlines.h"
#include "daemon/evictors/eviction_result.h"
#include "daemon/evictors/mirror_folders.h"
#include "daemon/evictors/stoppable_work.h"

namespace buildwarden::disk {

bool GitMirrors::frees(const ports::FilesystemSnapshot& filesystem) const {
  return parts_.settings.on_full.purge_mirrors && filesystem.has_role("git_mirrors");
}

ports::Async<std::vector<policy::Candidate>> GitMirrors::list(const policy::RungTurn&) { return list_mirrors(); }

ports::Async<ports::EvictionResult> GitMirrors::evict(const policy::Candidate& candidate, const policy::RungTurn&) {
  return evict_planned(candidate);
}

boost::asio::awaitable<void> GitMirrors::put_back_left() {
  std::function<Result<std::vector<std::string>>()> work = [folder = parts_.settings.paths.git_mirrors] {
    return put_back_set_aside(folder);
  };
  const auto back = co_await parts_.workers.compute<std::vector<std::string>>(std::move(work), kLookDeadline);
  if (!back) {
    // A folder where nothing may be deleted is told by DeletionRoots.
    const bool is_told = back.error().code() == Errc::kDenied;
    if (!is_told) log_warning(format("git mirrors that the last daemon had set aside: {}", back.error().message()));
    co_return;
  }
  for (const auto& name : *back) {
    log_warning(
        format("the git mirror {} was set aside when the daemon ended, and is back: it is asked about again", name));
  }
}

policy::Candidate GitMirrors::candidate_of(const CacheEntry& entry, const ports::MirrorUses& uses) const {
  auto candidate = entry_candidate(entry, format("git mirror {}", entry.name), parts_.clock.now());
  candidate.last_use.by = "its last fetch";
  if (!parts_.clock_is_steady()) candidate.last_use.observed = Duration{0};
  if (candidate.in_use_by.empty()) candidate.in_use_by = needed_by(entry.name, uses);
  return candidate;
}

ports::Async<std::vector<policy::Candidate>> GitMirrors::list_mirrors() {
  std::vector<policy::Candidate> candidates;
  forget_list();
  if (!parts_.settings.on_full.purge_mirrors) co_return candidates;
  // Where the folder was not there yet when the daemon started.
  co_await put_back_left();
  auto uses = co_await parts_.users.mirror_uses();
  if (!uses) co_return std::move(uses).error();
  std::function<Result<CachesSeen>(const std::stop_token&)> work =
      [folder = parts_.settings.paths.git_mirrors](const std::stop_token& stop) {
        return look_at_mirrors(folder, stop);
      };
  WorkLimits limits{kLookDeadline, stop_.get_token()};
  auto seen = co_await compute_stoppable<CachesSeen>(parts_.workers, std::move(work), std::move(limits));
  if (!seen) co_return std::move(seen).error();
  for (const auto& [folder, why] : seen->refused) {
    candidates.push_back(refused_candidate(format("all git mirrors in {}", folder), why));
  }
  for (auto& entry : seen->entries) {
    candidates.push_back(candidate_of(entry, *uses));
    planned_.emplace(entry.path(), std::move(entry));
  }
  co_return candidates;
}

ports::Async<ports::EvictionResult> GitMirrors::evict_planned(policy::Candidate candidate) {
  const auto planned = planned_.find(candidate.id);
  if (planned == planned_.end()) co_return dropped("it is not of the last plan");
  const auto entry = planned->second;
  if (!parts_.settings.on_full.purge_mirrors) co_return dropped("purge_mirrors was switched off");
  const auto uses = co_await parts_.users.mirror_uses();
  if (!uses) co_return uses.error();
  if (const auto who = needed_by(entry.name, *uses); !who.empty()) co_return dropped(format("in use by {}", who));
  std::function<Result<SetAsideMirror>(const std::stop_token&)> work = [entry](const std::stop_token& stop) {
    return SetAsideMirror::set_aside(entry, stop);
  };
  WorkLimits limits{kLookDeadline, stop_.get_token()};
  auto mirror = co_await compute_stoppable<SetAsideMirror>(parts_.workers, std::move(work), std::move(limits));
  if (!mirror) co_return std::move(mirror).error();
  if (!mirror->why_kept().empty()) co_return dropped(mirror->why_kept());
  co_return co_await remove_unless_needed(*std::move(mirror), entry.name);
}

ports::Async<ports::EvictionResult> GitMirrors::remove_unless_needed(SetAsideMirror mirror, std::string name) {
  const auto uses = co_await parts_.users.mirror_uses();
  if (!uses) co_return mirror.put_back(uses.error().message());
  if (const auto who = needed_by(name, *uses); !who.empty()) co_return mirror.put_back(format("in use by {}", who));
  const auto shared = std::make_shared<SetAsideMirror>(std::move(mirror));  // what a worker is given can be copied
  std::function<Result<ports::EvictionResult>(const std::stop_token&)> work = [shared](const std::stop_token& stop) {
    return shared->remove(stop);
  };
  WorkLimits limits{kRemoveDeadline, stop_.get_token()};
  co_return co_await compute_stoppable<ports::EvictionResult>(parts_.workers, std::move(work), std::move(limits));
}

}  // namespace buildwarden::disk
