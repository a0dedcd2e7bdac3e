#include "daemon/evictors/checkouts.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/format.h"
#include "common/system_folders.h"
#include "daemon/evictors/checkout_events.h"
#include "daemon/evictors/eviction_result.h"
#include "daemon/evictors/jobs_on_host.h"

namespace buildwarden::disk {
namespace {

constexpr Duration kCheckoutLookDeadline = std::chrono::minutes{1};
constexpr Duration kCheckoutRemoveDeadline = std::chrono::hours{1};

// A job may work for hours without a change that its checkout's stamps would tell.
void note_end(const ports::EndedJob& job, std::vector<FoundCheckout>& checkouts) {
  const auto path = without_links(job.checkout);
  for (auto& found : checkouts) {
    if (found.checkout.path != path) continue;
    found.jobs = job.jobs;
    found.first_job = job.first_ended == WallTime{} ? job.ended : job.first_ended;
    if (job.ended <= found.checkout.used_at) continue;
    found.checkout.used_at = job.ended;
    found.used_by = format("job {}", job.job);
  }
}

// How often it was used: by the jobs that ended in it, and once where none is known.
policy::UseHistory use_of(const FoundCheckout& found) {
  policy::UseHistory use;
  use.last_use = found.checkout.used_at;
  use.first_seen = found.jobs == 0 ? use.last_use : std::min(found.first_job, use.last_use);
  use.uses = std::max<std::uint64_t>(found.jobs, 1);
  return use;
}

}  // namespace

bool Checkouts::frees(const ports::FilesystemSnapshot& filesystem) const {
  return parts_.settings.on_full.purge_builds && filesystem.has_role("builds");
}

ports::Async<std::vector<policy::Candidate>> Checkouts::list(const policy::RungTurn& turn) {
  return list_checkouts(turn.for_job);
}

ports::Async<ports::EvictionResult> Checkouts::evict(const policy::Candidate& candidate, const policy::RungTurn&) {
  return evict_planned(candidate);
}

ports::Async<std::vector<policy::JobOnHost>> Checkouts::running() {
  return jobs_on_host(parts_.running_jobs, parts_.workers);
}

ports::Async<std::vector<policy::Candidate>> Checkouts::list_checkouts(std::string for_job) {
  std::vector<policy::Candidate> candidates;
  forget_list();
  if (!parts_.settings.on_full.purge_builds) co_return candidates;
  auto jobs = co_await running();
  if (!jobs) co_return std::move(jobs).error();
  auto to_come = parts_.locks.to_come();
  for (auto& job : to_come) job.asks = job.job == for_job;
  for (auto& job : parts_.given_up()) to_come.push_back(std::move(job));
  std::function<Result<Seen>()> work = [builds = parts_.settings.paths.builds, to_come = std::move(to_come),
                                        ended = parts_.ended.ended_jobs()] {
    auto seen = look(builds, ended);
    if (!seen) return seen;
    seen->to_come = to_come;
    for (auto& job : seen->to_come) job.checkout = without_links(job.checkout);
    return seen;
  };
  auto seen = co_await parts_.workers.compute<Seen>(std::move(work), kCheckoutLookDeadline);
  if (!seen) co_return std::move(seen).error();
  seen->running = *std::move(jobs);
  builds_ = seen->builds;
  record_in_parts(seen->in_parts);
  std::vector<policy::UseHistory> uses;
  for (const auto& found : seen->found) {
    candidates.push_back(candidate_of(*seen, found));
    uses.push_back(use_of(found));
    planned_.emplace(found.checkout.path, found);
  }
  if (parts_.settings.disk.rank_by == RankBy::kValue) {
    policy::value_checkouts(candidates, uses, parts_.rates(), parts_.clock.now().wall);
  }
  if (!seen->refused.empty()) candidates.push_back(refused_candidate(seen->refused));
  record_kept(candidates);
  co_return candidates;
}

Result<Checkouts::Seen> Checkouts::look(const std::string& path, const std::vector<ports::EndedJob>& ended) {
  Seen seen;
  auto builds = DeletionRoot::open(path);
  if (!builds && builds.error().code() == Errc::kNotFound) return seen;
  if (!builds) {
    seen.refused = builds.error().message();
    return seen;
  }
  // What the configuration named may lead there by links that root made.
  if (const auto system = overlapped_system_folder((*builds)->path()); !system.empty()) {
    seen.refused = format("{} is, holds or lies in {}, in which nothing is a checkout", (*builds)->path(), system);
    return seen;
  }
  auto found = look_for_checkouts((*builds)->folder(), (*builds)->path());
  if (!found) return std::move(found).error();
  auto users = users_of(found->found);
  if (!users) return std::move(users).error();
  for (const auto& job : ended) note_end(job, found->found);
  seen.builds = *std::move(builds);
  seen.found = std::move(found->found);
  seen.in_parts = std::move(found->in_parts);
  seen.users = *std::move(users);
  return seen;
}

void Checkouts::forget_list() {
  planned_.clear();
  builds_.reset();
}

policy::Candidate Checkouts::refused_candidate(const std::string& why) const {
  policy::Candidate candidate;
  candidate.id = candidate.name = format("all checkouts in {}", parts_.settings.paths.builds);
  candidate.protected_as = why;
  return candidate;
}

policy::Candidate Checkouts::candidate_of(const Seen& seen, const FoundCheckout& found) const {
  const auto& checkout = found.checkout;
  const auto now = parts_.clock.now();
  const auto user = seen.users.find(checkout.path);
  auto use = policy::judge_checkout(checkout, seen.running, seen.to_come, user == seen.users.end() ? "" : user->second);
  policy::Candidate candidate;
  candidate.id = checkout.path;
  candidate.name = format("checkout {}/{}/{}", checkout.agent, checkout.org, checkout.pipeline);
  const auto size = parts_.sizes.of(found);
  candidate.size = size.value_or(0);
  candidate.is_unsized = !size;
  candidate.last_use.at = checkout.used_at;
  if (parts_.clock_is_steady()) candidate.last_use.observed = std::max(Duration{0}, now.wall - checkout.used_at);
  candidate.last_use.by = found.used_by;
  candidate.in_use_by = std::move(use.in_use_by);
  candidate.given_up = use.given_up;
  candidate.last = use.last;
  return candidate;
}

void Checkouts::record_kept(const std::vector<policy::Candidate>& candidates) {
  auto event = kept_event(candidates);
  if (event && event->reason != kept_) parts_.journal.record(*event);
  kept_ = event ? event->reason : "";
}

void Checkouts::record_in_parts(const std::vector<std::string>& in_parts) {
  const auto what = in_parts.empty() ? std::string() : in_parts.front();
  if (!what.empty() && what != in_parts_) parts_.journal.record(in_parts_event(in_parts));
  in_parts_ = what;
}

ports::Async<ports::EvictionResult> Checkouts::evict_planned(policy::Candidate candidate) {
  const auto planned = planned_.find(candidate.id);
  if (planned == planned_.end() || !builds_) co_return dropped("it is not of the last plan");
  const auto found = planned->second;
  // Until it is out of the way; a checkout that must be removed where it is keeps its agent's jobs waiting until then.
  auto held = parts_.locks.hold(found.checkout.agent);
  if (!parts_.settings.on_full.purge_builds) co_return dropped("purge_builds was switched off");
  auto jobs = co_await running();
  if (!jobs) co_return std::move(jobs).error();
  const auto to_come = parts_.locks.to_come();
  const auto use = policy::judge_checkout(found.checkout, *jobs, to_come, "");
  if (!use.in_use_by.empty()) co_return dropped(format("in use by {}", use.in_use_by));
  auto thrown = co_await throw_away(found);
  if (!thrown) co_return std::move(thrown).error();
  if (!(*thrown)->left_alone.empty()) co_return dropped((*thrown)->left_alone);
  if ((*thrown)->in_place.empty()) held.reset();
  co_return co_await remove(found, *std::move(thrown));
}

ports::Async<std::shared_ptr<Thrown>> Checkouts::throw_away(const FoundCheckout& found) {
  std::function<Result<std::shared_ptr<Thrown>>()> work = [builds = builds_, found] {
    auto thrown = throw_away_checkout(builds, found);
    if (!thrown) return Result<std::shared_ptr<Thrown>>(std::move(thrown).error());
    return Result<std::shared_ptr<Thrown>>(std::make_shared<Thrown>(*std::move(thrown)));
  };
  return parts_.workers.compute<std::shared_ptr<Thrown>>(std::move(work), kCheckoutLookDeadline);
}

ports::Async<ports::EvictionResult> Checkouts::remove(FoundCheckout found, std::shared_ptr<Thrown> thrown) {
  std::function<Result<TreeRemoved>()> work = [thrown, stop = stop_.get_token()] {
    return remove_thrown(*thrown, stop);
  };
  auto removed = co_await parts_.workers.compute<TreeRemoved>(std::move(work), kCheckoutRemoveDeadline);
  if (!removed) co_return std::move(removed).error();
  if (removed->removed == 0) co_return dropped(removed->stopped ? "the daemon stops" : removed->first_error);
  parts_.sizes.forget(found);
  if (!removed->whole()) parts_.journal.record(left_event(found.checkout, *removed, thrown->in_place));
  ports::EvictionResult taken;
  taken.reported = removed->bytes;
  co_return taken;
}

}  // namespace buildwarden::disk
