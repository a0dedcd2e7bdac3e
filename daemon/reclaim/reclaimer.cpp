#include "daemon/reclaim/reclaimer.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <utility>

#include "common/cooperative_yield.h"
#include "common/format.h"
#include "daemon/policy/backoff.h"
#include "daemon/policy/eviction_rules.h"
#include "daemon/ports/rung_failed_event.h"
#include "daemon/reclaim/reclaim_events.h"
#include "daemon/reclaim/reclaim_run.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kPlanPatience = std::chrono::minutes{10};
constexpr std::size_t kManyCandidates = 500;  // ranking them takes about a millisecond
constexpr Duration kRankDeadline = std::chrono::seconds{30};
constexpr std::int64_t kToldEach = 16;  // about so many minutes: alerts look back for half an hour

std::vector<policy::RungId> ids_of(const std::vector<ports::Evictor*>& rungs) {
  std::vector<policy::RungId> ids;
  for (const auto* rung : rungs) {
    if (rung->id() != policy::RungId::kUnused) ids.push_back(rung->id());
  }
  return ids;
}

std::string result_of(const policy::FreedSpace& freed, bool failed) {
  if (freed.is_gain()) return "freed";
  if (failed) return "failed";
  return freed.is_known() ? "nothing" : "unknown";
}

// The devices that want nothing. What could not be read is not known to be well.
std::set<std::string> well(const std::vector<ports::FilesystemSnapshot>& filesystems) {
  std::set<std::string> devices;
  for (const auto& filesystem : filesystems) {
    const bool known = filesystem.reading && filesystem.pressure.level != policy::Level::kUnknown;
    if (known && !filesystem.pressure.reclaim) devices.insert(filesystem.device);
  }
  return devices;
}

constexpr Duration kTurnPatience = std::chrono::minutes{1};  // for a reclaim under way; the next look comes by itself
constexpr Duration kLongest = std::chrono::hours{1};

}  // namespace

Reclaimer::Reclaimer(Parts parts) : parts_(std::move(parts)), stats_(ids_of(parts_.rungs)) {}

ports::Async<ports::SpaceResult> Reclaimer::ensure(ports::SpaceRequest request, ports::Progress progress) {
  request.dry_run = request.dry_run || parts_.settings.dry_run;
  ReclaimRun run;
  run.until = request.dry_run ? BootTime::max() : parts_.clock.now().boot + request.wait;
  run.settle = parts_.pace.settle;
  run.progress = std::move(progress);
  if (request.dry_run) run.found = std::make_shared<policy::DryRunCache>();
  const auto patience = request.dry_run && !request.quiet ? kPlanPatience : request.wait;
  run.request = std::move(request);
  const auto guard = co_await mutex_.lock(patience);
  run.seen = co_await parts_.probe.measure();
  if (!run.request.on_request) run.spared = well(run.seen);
  run.at = goal_status_of(run);
  run.looked = parts_.clock.now().boot;
  note_first(run);
  const bool needed = !run.at.reached;
  if (guard && needed && run.at.can_help) co_await this->run(run);
  run.result.reached = run.at.reached;
  note_engine(run);
  note_last(run);
  run.result.reason = reason_for(run);
  run.result.last_resort = last_resort(run);
  if (run.request.list_kept) collect_kept(run);
  if (!guard && needed) run.result.reason = "Another reclaim ran until the time was over. " + run.result.reason;
  if (!guard && run.request.quiet) run.result.hindered = true;
  if (needed && is_told(run)) parts_.journal.record(end_event(run.request, run.result, run.at));
  discard(run);
  co_return std::move(run.result);
}

void Reclaimer::note_first(ReclaimRun& run) {
  for (const auto& filesystem : run.seen) {
    if (filesystem.reading) run.free_at_first[filesystem.mount] = filesystem.reading->free;
  }
}

// Another filesystem may be the shortest by now: both figures are of that one.
void Reclaimer::note_last(ReclaimRun& run) {
  const auto first = run.free_at_first.find(run.at.mount);
  run.result.free_after = run.at.free;
  run.result.free_before = first == run.free_at_first.end() ? run.at.free : first->second;
}

void Reclaimer::note_failure(ReclaimRun& run, policy::RungId rung, const Error& error) {
  using enum policy::RungId;
  run.result.hindered = true;
  const bool is_of_images = rung == kDanglingImages || rung == kImages || rung == kUnused;
  if (is_of_images && run.result.images_failed.empty()) run.result.images_failed = error.message();
}

// While the engine is away nobody may know where its images lie, so that their rungs are not even asked.
void Reclaimer::note_engine(ReclaimRun& run) const {
  auto& why = run.result.images_failed;
  if (run.result.reached) why.clear();
  if (!run.result.reached && why.empty() && parts_.engine_away) why = parts_.engine_away();
  run.result.hindered = run.result.hindered || !why.empty();
}

// A disk may stay short for days with nothing on it that may go, and the background tries again each minute.
bool Reclaimer::is_told(const ReclaimRun& run) {
  if (run.request.quiet) return false;
  if (run.request.on_request || run.request.dry_run) return true;
  const bool vain = !run.result.reached && run.result.steps.empty();
  const auto same = vain ? std::pair(run.at.mount, run.at.level) : std::pair(std::string(), policy::Level::kOk);
  tries_in_vain_ = vain && same == in_vain_ ? tries_in_vain_ + 1 : 1;
  in_vain_ = same;
  return !vain || policy::is_told(tries_in_vain_) || tries_in_vain_ % kToldEach == 0;
}

asio::awaitable<void> Reclaimer::run(ReclaimRun& run) {
  do {
    run.settings = settings_;
    for (const auto& leg : steps_for(run)) {
      if (over(run)) co_return;
      if (outdated(run)) break;
      if (helps(run, *leg.rung, "")) co_await run_rung(run, *leg.rung, leg.turn);
    }
  } while (outdated(run));
}

asio::awaitable<void> Reclaimer::run_rung(ReclaimRun& run, ports::Evictor& rung, policy::RungTurn turn) {
  const auto began = parts_.clock.now().boot;
  turn.pretended = run.pretended;
  turn.for_job = run.request.for_job;
  turn.dry_run = run.request.dry_run;
  turn.found = run.found;
  turn.on_demand = is_on_demand(run.request);
  RungVisit visit{rung, turn};
  auto candidates = co_await rung.list(turn);
  if (candidates) note_lack(run, visit);
  if (candidates) candidates = co_await rank(run, visit, *std::move(candidates));
  if (candidates) {
    co_await evict_all(run, visit, &*candidates);
    discard(*std::move(candidates));
  } else {
    visit.fail();
    note_failure(run, turn.rung, candidates.error());
    if (!run.request.quiet) parts_.journal.record(ports::rung_failed_event(turn, candidates.error()));
  }
  rung.forget_list();
  if (!run.request.dry_run) finish_rung(visit, parts_.clock.now().boot - began);
}

void Reclaimer::note_lack(ReclaimRun& run, RungVisit& visit) {
  const auto lack = visit.rung.lacking();
  if (!lack) return;
  auto turn = visit.turn;
  turn.rung = lack->rung;
  visit.sums[lack->rung].failed = true;
  note_failure(run, lack->rung, lack->error);
  if (!run.request.quiet) parts_.journal.record(ports::rung_failed_event(turn, lack->error));
}

ports::Async<std::vector<policy::Candidate>> Reclaimer::rank(ReclaimRun& run, RungVisit& visit,
                                                             std::vector<policy::Candidate> candidates) {
  const auto rules = policy::eviction_rules(parts_.settings.disk, visit.turn, parts_.in_use.now().oldest_job_start);
  const auto now = parts_.clock.now();
  const bool list_kept = run.request.list_kept;
  if (parts_.workers == nullptr || candidates.size() < kManyCandidates) {
    auto ranking = policy::rank(std::move(candidates), rules, now);
    note_kept(run, visit, RankingNotes::of(ranking, list_kept));
    co_return std::move(ranking.order);
  }
  auto all = std::make_shared<std::vector<policy::Candidate>>(std::move(candidates));
  auto notes = std::make_shared<RankingNotes>();
  std::function<Result<std::vector<policy::Candidate>>()> work = [all, notes, rules, now, list_kept] {
    auto ranking = policy::rank(std::move(*all), rules, now);
    *notes = RankingNotes::of(ranking, list_kept);
    return Result<std::vector<policy::Candidate>>(std::move(ranking.order));
  };
  auto order = co_await parts_.workers->compute<std::vector<policy::Candidate>>(std::move(work), kRankDeadline);
  if (order) note_kept(run, visit, std::move(*notes));
  co_return order;
}

void Reclaimer::note_kept(ReclaimRun& run, const RungVisit& visit, RankingNotes notes) {
  // Steps of caches are planned by the same rules already: what is left of them is images.
  const auto shown = visit.turn.rung == policy::RungId::kUnused ? policy::RungId::kImages : visit.turn.rung;
  run.spared_by[shown] = std::move(notes.spared);
  const Frees of_rung = [&visit](const ports::FilesystemSnapshot& one) { return visit.rung.frees(one); };
  ReclaimRun::Kept kept;
  kept.left_off = notes.left_off;
  for (const auto& skipped : notes.kept) {
    kept.things.push_back(kept_thing(shown, skipped, mount_of(run.seen, skipped, of_rung)));
  }
  run.kept_by[&visit.rung] = std::move(kept);
}

void Reclaimer::collect_kept(ReclaimRun& run) {
  for (auto& [rung, kept] : run.kept_by) {
    run.result.kept_left_off += kept.left_off;
    std::move(kept.things.begin(), kept.things.end(), std::back_inserter(run.result.kept));
  }
}

void Reclaimer::discard(std::vector<policy::Candidate> candidates) {
  if (parts_.workers == nullptr || candidates.size() < kManyCandidates) return;
  auto all = std::make_shared<std::vector<policy::Candidate>>(std::move(candidates));
  parts_.workers->post([all] { all->clear(); });
}

void Reclaimer::discard(ReclaimRun& run) {
  if (parts_.workers == nullptr || !run.found) return;
  parts_.workers->post([pretended = std::move(run.pretended), found = std::move(run.found)] {
    *pretended = policy::DryRunState{};
    *found = policy::DryRunCache{};
  });
}

asio::awaitable<void> Reclaimer::evict_all(ReclaimRun& run, RungVisit& visit, std::vector<policy::Candidate>* order) {
  CooperativeYield others;
  for (auto& candidate : *order) {
    if (over(run) || outdated(run) || !helps(run, visit.rung, "")) co_return;
    if (run.pretended->ids.contains(candidate.id)) {
      co_await others.yield();
      continue;
    }
    if (!helps(run, visit.rung, candidate.device)) continue;
    if (run.request.dry_run) {
      pretend(run, visit, candidate);
      co_await others.yield();
      continue;
    }
    if (goes_gently(run)) co_await loop_timer_.sleep_for(parts_.pace.pause);
    const bool goes_on = co_await evict_one(run, visit, std::move(candidate));
    if (!goes_on) co_return;
  }
}

// Whoever asked waits for it.
bool Reclaimer::goes_gently(const ReclaimRun& run) {
  const bool is_between = !run.result.steps.empty();
  return is_between && !run.request.on_request && run.at.level == policy::Level::kLow && !run.in_haste;
}

void Reclaimer::finish_rung(RungVisit& visit, Duration took) {
  for (const auto& [rung, sum] : visit.sums) {
    const bool expected = sum.promised > 0 || sum.reported > 0;  // a network is not expected to free anything
    // What nobody knows, and what others may have taken at once, is no alarm.
    const bool nothing = sum.freed.is_known() && !sum.freed.is_gain() &&
                         sum.freed.taken_bytes() < std::max({sum.promised, sum.reported, Bytes{1}});
    auto turn = visit.turn;
    turn.rung = rung;
    if (sum.deletions > 0 && expected && nothing) {
      parts_.journal.record(nothing_freed_event(turn, sum.deletions, sum.reported));
    }
    stats_.count(rung, result_of(sum.freed, sum.failed), sum.freed.bytes(), took);
  }
}

// What might have gone, and why it did not.
std::string Reclaimer::kept_text(const ReclaimRun& run) {
  std::string text;
  for (const auto& [rung, spared] : run.spared_by) {
    if (!spared.empty())
      text += format("{} {}: {}", text.empty() ? " Left:" : ";", policy::to_string(rung), policy::to_text(spared));
  }
  return text.empty() ? text : text + ".";
}

std::string Reclaimer::reason_for(const ReclaimRun& run) const {
  const auto& at = run.at;
  const auto where = figures(at);
  const auto steps = counted(run.result.steps.size(), "step");
  if (at.reached && run.result.steps.empty()) return format("{}: nothing to do.", where);
  if (at.reached && run.request.dry_run) return format("{} would lead to {}.", steps, where);
  if (at.reached) return format("{} after {}.", where, steps);
  if (!at.unread.empty()) return format("{} could not be measured, so nothing is deleted for it.", at.unread.front());
  if (!at.no_means.empty()) {
    return format("{}, and no step of the ladder frees {} ({} done).", where, at.no_means.front(), steps);
  }
  if (!at.can_help) return format("{}, and its level is not known yet.", where);
  if (loop_timer_.stopped()) return format("{} after {}: the daemon stops.", where, steps);
  if (parts_.settings.dry_run && !run.request.dry_run) {
    return format("{} after {}: dry_run was switched on.", where, steps);
  }
  if (parts_.clock.now().boot >= run.until) {
    return format("{} after {}, when the time of {} was over.", where, steps, short_duration(run.request.wait));
  }
  const bool by_inodes = at.free >= at.wanted && at.free_inodes < at.wanted_inodes;
  if (by_inodes && run.request.dry_run) {
    return format("{} before {}; how many inodes they give back shows only when they are taken.", where, steps);
  }
  if (run.request.dry_run) return format("{}, all that is allowed, would lead to {}.{}", steps, where, kept_text(run));
  return format("{} after {}: all that is allowed was done.{}", where, steps, kept_text(run));
}

asio::awaitable<void> Reclaimer::collect(ports::Evictor* rung, policy::RungTurn turn, std::string on_behalf_of) {
  ReclaimRun run;
  run.only = rung;
  run.request.on_behalf_of = std::move(on_behalf_of);
  run.request.on_request = false;
  run.request.dry_run = parts_.settings.dry_run;
  run.settle = parts_.pace.settle;
  const auto guard = co_await mutex_.lock(kTurnPatience);
  if (!guard) co_return;
  run.until = parts_.clock.now().boot + kLongest;
  run.settings = settings_;
  run.seen = co_await parts_.probe.measure();
  run.at = goal_status_of(run);
  note_first(run);
  const bool is_gentle = turn.rung <= policy::RungId::kDanglingImages;
  const bool gentle_alone = parts_.only_gentle && parts_.only_gentle();
  if (over(run) || (gentle_alone && !is_gentle)) co_return;
  co_await run_rung(run, *rung, std::move(turn));
  note_last(run);
  if (!run.result.steps.empty()) parts_.journal.record(collected_event(run.request, run.result, run.at));
  discard(run);
}

}  // namespace buildwarden::disk
