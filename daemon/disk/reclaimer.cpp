#include "daemon/disk/reclaimer.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/cooperative_yield.h"
#include "common/format.h"
#include "daemon/disk/climb.h"
#include "daemon/disk/reclaim_record.h"
#include "daemon/disk/rules.h"
#include "daemon/policy/backoff.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kPlanPatience = std::chrono::minutes{10};
constexpr std::size_t kManyCandidates = 500;  // ranking them takes about a millisecond
constexpr Duration kRankDeadline = std::chrono::seconds{30};
constexpr std::int64_t kToldEach = 16;  // about so many minutes: alerts look back for half an hour

std::vector<policy::RungId> ids_of(const std::vector<ports::Rung*>& rungs) {
  std::vector<policy::RungId> ids;
  for (const auto* rung : rungs) ids.push_back(rung->id());
  return ids;
}

std::string result_of(const policy::FreedSpace& freed, bool failed) {
  if (freed.is_gain()) return "freed";
  if (failed) return "failed";
  return freed.is_known() ? "nothing" : "unknown";
}

// The devices that want nothing. What could not be read is not known to be well.
std::set<std::string> well(const std::vector<Measured>& filesystems) {
  std::set<std::string> devices;
  for (const auto& filesystem : filesystems) {
    const bool known = filesystem.reading && filesystem.level != policy::Level::kUnknown;
    if (known && !filesystem.wants_reclaim) devices.insert(filesystem.device);
  }
  return devices;
}

}  // namespace

Reclaimer::Reclaimer(Parts parts) : parts_(std::move(parts)), stats_(ids_of(parts_.rungs)) {}

ports::Async<ports::SpaceResult> Reclaimer::ensure(ports::SpaceRequest request, ports::Progress progress) {
  request.dry_run = request.dry_run || parts_.settings.dry_run;
  Climb climb;
  climb.until = request.dry_run ? BootTime::max() : parts_.clock.now().boot + request.wait;
  climb.settle = parts_.pace.settle;
  climb.progress = std::move(progress);
  if (request.dry_run) climb.found = std::make_shared<policy::DryRunCache>();
  const auto patience = request.dry_run && !request.quiet ? kPlanPatience : request.wait;
  climb.request = std::move(request);
  const auto pass = co_await mutex_.lock(patience);
  climb.seen = co_await parts_.meter.measure();
  if (!climb.request.on_request) climb.spared = well(climb.seen);
  climb.at = standing_of(climb);
  climb.looked = parts_.clock.now().boot;
  note_first(climb);
  const bool needed = !climb.at.reached;
  if (pass && needed && climb.at.can_help) co_await this->climb(climb);
  climb.result.reached = climb.at.reached;
  note_last(climb);
  climb.result.reason = reason_for(climb);
  climb.result.last_resort = last_resort(climb);
  if (!pass && needed) climb.result.reason = "Another reclaim ran until the time was over. " + climb.result.reason;
  if (!pass && climb.request.quiet) climb.result.hindered = true;
  if (needed && is_told(climb)) parts_.journal.record(end_event(climb.request, climb.result, climb.at));
  discard(climb);
  co_return std::move(climb.result);
}

void Reclaimer::note_first(Climb& climb) {
  for (const auto& filesystem : climb.seen) {
    if (filesystem.reading) climb.free_at_first[filesystem.mount] = filesystem.reading->free;
  }
}

// Another filesystem may be the shortest by now: both figures are of that one.
void Reclaimer::note_last(Climb& climb) {
  const auto first = climb.free_at_first.find(climb.at.mount);
  climb.result.free_after = climb.at.free;
  climb.result.free_before = first == climb.free_at_first.end() ? climb.at.free : first->second;
}

// A disk may stay short for days with nothing on it that may go, and the background tries again each minute.
bool Reclaimer::is_told(const Climb& climb) {
  if (climb.request.quiet) return false;
  if (climb.request.on_request || climb.request.dry_run) return true;
  const bool vain = !climb.result.reached && climb.result.steps.empty();
  const auto same = vain ? std::pair(climb.at.mount, climb.at.level) : std::pair(std::string(), policy::Level::kOk);
  tries_in_vain_ = vain && same == in_vain_ ? tries_in_vain_ + 1 : 1;
  in_vain_ = same;
  return !vain || policy::is_told(tries_in_vain_) || tries_in_vain_ % kToldEach == 0;
}

asio::awaitable<void> Reclaimer::climb(Climb& climb) {
  do {
    climb.settings = settings_;
    for (const auto& leg : legs(climb)) {
      if (over(climb)) co_return;
      if (outdated(climb)) break;
      if (helps(climb, *leg.rung, "")) co_await run_rung(climb, *leg.rung, leg.turn);
    }
  } while (outdated(climb));
}

asio::awaitable<void> Reclaimer::run_rung(Climb& climb, ports::Rung& rung, policy::RungTurn turn) {
  const auto began = parts_.clock.now().boot;
  turn.pretended = climb.pretended;
  turn.for_job = climb.request.for_job;
  turn.dry_run = climb.request.dry_run;
  turn.found = climb.found;
  turn.on_demand = is_on_demand(climb.request);
  RungRun run{rung, turn};
  auto candidates = co_await rung.list(turn);
  if (candidates) candidates = co_await rank(climb, *std::move(candidates), turn);
  if (candidates) {
    co_await take_all(climb, run, &*candidates);
    discard(*std::move(candidates));
  } else {
    run.failed = true;
    climb.result.hindered = true;
    if (!climb.request.quiet) parts_.journal.record(rung_failed_event(turn, candidates.error()));
  }
  rung.forget_list();
  if (!climb.request.dry_run) finish_rung(run, parts_.clock.now().boot - began);
}

ports::Async<std::vector<policy::Candidate>> Reclaimer::rank(Climb& climb, std::vector<policy::Candidate> candidates,
                                                             policy::RungTurn turn) {
  const auto rules = eviction_rules(parts_.settings.disk, turn, parts_.in_use);
  const auto now = parts_.clock.now();
  if (parts_.workers == nullptr || candidates.size() < kManyCandidates) {
    auto ranking = policy::rank(std::move(candidates), rules, now);
    climb.spared_by[turn.rung] = policy::spared(ranking.skipped);
    co_return std::move(ranking.order);
  }
  auto all = std::make_shared<std::vector<policy::Candidate>>(std::move(candidates));
  auto spared = std::make_shared<policy::SparedByRule>();
  std::function<Result<std::vector<policy::Candidate>>()> work = [all, spared, rules, now] {
    auto ranking = policy::rank(std::move(*all), rules, now);
    *spared = policy::spared(ranking.skipped);
    return Result<std::vector<policy::Candidate>>(std::move(ranking.order));
  };
  auto order = co_await parts_.workers->compute<std::vector<policy::Candidate>>(std::move(work), kRankDeadline);
  if (order) climb.spared_by[turn.rung] = std::move(*spared);
  co_return order;
}

void Reclaimer::discard(std::vector<policy::Candidate> candidates) {
  if (parts_.workers == nullptr || candidates.size() < kManyCandidates) return;
  auto all = std::make_shared<std::vector<policy::Candidate>>(std::move(candidates));
  parts_.workers->post([all] { all->clear(); });
}

void Reclaimer::discard(Climb& climb) {
  if (parts_.workers == nullptr || !climb.found) return;
  parts_.workers->post([pretended = std::move(climb.pretended), found = std::move(climb.found)] {
    *pretended = policy::DryRunState{};
    *found = policy::DryRunCache{};
  });
}

asio::awaitable<void> Reclaimer::take_all(Climb& climb, RungRun& run, std::vector<policy::Candidate>* order) {
  CooperativeYield others;
  for (auto& candidate : *order) {
    if (over(climb) || outdated(climb) || !helps(climb, run.rung, "")) co_return;
    if (climb.pretended->ids.contains(candidate.id)) {
      co_await others.yield();
      continue;
    }
    if (!helps(climb, run.rung, candidate.device)) continue;
    if (climb.request.dry_run) {
      pretend(climb, run, candidate);
      co_await others.yield();
      continue;
    }
    if (goes_gently(climb)) co_await loop_timer_.sleep_for(parts_.pace.pause);
    const bool goes_on = co_await take_one(climb, run, std::move(candidate));
    if (!goes_on) co_return;
  }
}

// Whoever asked waits for it.
bool Reclaimer::goes_gently(const Climb& climb) {
  const bool is_between = !climb.result.steps.empty();
  return is_between && !climb.request.on_request && climb.at.level == policy::Level::kLow && !climb.in_haste;
}

void Reclaimer::finish_rung(RungRun& run, Duration took) {
  const bool expected = run.promised > 0 || run.reported > 0;  // a network is not expected to free anything
  // What nobody knows, and what others may have taken at once, is no alarm.
  const bool nothing = run.freed.is_known() && !run.freed.is_gain() &&
                       run.freed.taken_bytes() < std::max({run.promised, run.reported, Bytes{1}});
  if (run.deletions > 0 && expected && nothing) {
    parts_.journal.record(nothing_freed_event(run.turn, run.deletions, run.reported));
  }
  stats_.count(run.turn.rung, result_of(run.freed, run.failed), run.freed.bytes(), took);
}

// What might have gone, and why it did not.
std::string Reclaimer::kept_text(const Climb& climb) {
  std::string text;
  for (const auto& [rung, spared] : climb.spared_by) {
    if (!spared.empty())
      text += format("{} {}: {}", text.empty() ? " Left:" : ";", policy::to_string(rung), policy::to_text(spared));
  }
  return text.empty() ? text : text + ".";
}

std::string Reclaimer::reason_for(const Climb& climb) const {
  const auto& at = climb.at;
  const auto where = figures(at);
  const auto steps = climb.result.steps.size();
  const auto* would = climb.request.dry_run ? "would be " : "";
  if (at.reached) return format("{} {}after {} steps.", where, would, steps);
  if (!at.unread.empty()) return format("{} could not be measured, so nothing is deleted for it.", at.unread.front());
  if (!at.no_means.empty()) {
    return format("{}, and no step of the ladder frees {}; {} steps were taken.", where, at.no_means.front(), steps);
  }
  if (!at.can_help) return format("{}, and its level is not known yet.", where);
  if (loop_timer_.stopped()) return format("{} after {} steps: the daemon stops.", where, steps);
  if (parts_.settings.dry_run && !climb.request.dry_run) {
    return format("{} after {} steps: dry_run was switched on.", where, steps);
  }
  if (parts_.clock.now().boot >= climb.until) {
    return format("{} after {} steps, when the time of {} was over.", where, steps,
                  format_duration(climb.request.wait));
  }
  const bool by_inodes = at.free >= at.wanted && at.free_inodes < at.wanted_inodes;
  if (by_inodes && climb.request.dry_run) {
    return format("{} before {} steps; how many inodes they give back shows only when they are taken.", where, steps);
  }
  return format("{} {}after {} steps: all that is allowed was done.{}", where, would, steps, kept_text(climb));
}

}  // namespace buildwarden::disk
