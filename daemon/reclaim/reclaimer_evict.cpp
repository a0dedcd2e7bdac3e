// The reclaimer's hands: one deletion, its measurement, its record.
#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <set>
#include <utility>

#include "daemon/ports/rung_failed_event.h"
#include "daemon/reclaim/reclaim_events.h"
#include "daemon/reclaim/reclaim_run.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

// After nothing showed for the whole time once, it is not waited for so long again.
constexpr int kImpatience = 10;

// Where the deletion of a candidate shows: settled before it, since a rung that has nothing left frees nothing any
// more.
Frees place_of(const std::vector<ports::FilesystemSnapshot>& filesystems, const ports::Evictor& rung,
               const std::string& device) {
  std::set<std::string> devices;
  for (const auto& one : filesystems) {
    if (rung.frees(one) && (device.empty() || one.device == device)) devices.insert(one.device);
  }
  return [devices = std::move(devices)](const ports::FilesystemSnapshot& filesystem) {
    return devices.contains(filesystem.device);
  };
}

}  // namespace

asio::awaitable<void> Reclaimer::look(ReclaimRun& run) {
  run.seen = co_await parts_.probe.measure();
  run.at = goal_status_of(run);
  run.looked = parts_.clock.now().boot;
}

asio::awaitable<bool> Reclaimer::evict_one(ReclaimRun& run, RungVisit& visit, policy::Candidate candidate) {
  // The last measurement may be as old as the pause and the questions since: others write all the while.
  const auto settled = run.at;
  const auto settled_at = run.looked;
  co_await look(run);
  run.in_haste = run.in_haste || fills_at_once(settled, run.at, run.looked - settled_at);
  if (over(run) || !helps(run, visit.rung, "")) co_return false;
  if (!helps(run, visit.rung, candidate.device)) co_return true;
  if (parts_.before_evict) co_await parts_.before_evict(candidate);
  if (over(run) || outdated(run)) co_return false;
  const auto turn = visit.turn_of(candidate, parts_.settings.disk.grace);
  const auto where = place_of(run.seen, visit.rung, candidate.device);
  auto free_before = free_on(run.seen, where);
  tell_began(run);
  auto taken = co_await visit.rung.evict(candidate, visit.turn);
  if (!taken) {
    visit.of(candidate).failed = true;
    note_failure(run, turn.rung, taken.error());
    parts_.journal.record(ports::rung_failed_event(turn, taken.error()));
    co_return false;
  }
  if (!taken->dropped.empty()) {
    parts_.journal.record(dropped_event(turn, candidate, taken->dropped));
    co_return true;
  }
  if (!taken->spared_why.empty()) {
    auto spared = candidate;
    spared.name = taken->spared_name;
    parts_.journal.record(dropped_event(turn, spared, taken->spared_why));
  }
  auto freed = co_await settle(run, where, std::move(free_before), taken->reported);
  auto& sums = visit.of(candidate);
  ++sums.deletions;
  sums.promised += candidate.size - taken->spared;
  sums.reported += taken->reported;
  sums.freed += freed;
  Effect effect{taken->reported, std::move(freed), goal_status_at(run, where)};
  record(run, visit, candidate, std::move(effect));
  co_return true;
}

// Until all that was reported is there, or some of it (inodes alone, perhaps) and no more comes. What is missing may
// come late, or be what others wrote meanwhile: it is waited for only where it would end the reclaim, else a writer
// that takes as much as a deletion frees would hold up those that follow.
asio::awaitable<policy::FreedSpace> Reclaimer::settle(ReclaimRun& run, Frees where,
                                                      std::vector<policy::FreeReading> free_before, Bytes reported) {
  using WaitClock = asio::steady_timer::clock_type;
  const auto until = WaitClock::now() + run.settle;
  policy::FreedSpace last;
  for (;;) {
    co_await look(run);
    auto freed = policy::FreedSpace::between(free_before, free_on(run.seen, where));
    const Bytes owed = std::max<Bytes>(run.owed + reported - freed.bytes(), 0);
    if (freed.bytes() >= reported || !would_end(run, where, owed)) {
      run.owed = owed;
      co_return freed;
    }
    const bool no_more = freed.is_gain() && !freed.is_more_than(last);
    last = std::move(freed);
    if (no_more) break;
    if (loop_timer_.stopped() || WaitClock::now() >= until) {
      run.settle = std::min(run.settle, parts_.pace.settle / kImpatience);
      break;
    }
    co_await loop_timer_.sleep_for(parts_.pace.poll);
  }
  run.owed = 0;
  co_return last;
}

// Whether `owed` more bytes would be enough there. A collection has no end that bytes could bring.
bool Reclaimer::would_end(const ReclaimRun& run, const Frees& where, Bytes owed) {
  const auto there = goal_status_there(run.seen, run.request, where);
  return run.only != nullptr || !there.can_help || there.free + owed >= there.wanted;
}

void Reclaimer::tell_began(ReclaimRun& run) {
  if (run.began_is_told || run.request.quiet || run.only != nullptr) return;
  run.began_is_told = true;
  parts_.journal.record(began_event(run.request, run.at, run.seen));
}

void Reclaimer::pretend(ReclaimRun& run, RungVisit& visit, const policy::Candidate& candidate) {
  tell_began(run);
  run.pretended->order.push_back(candidate.id);
  run.pretended->ids.insert(candidate.id);
  const auto where = place_of(run.seen, visit.rung, candidate.device);
  for (auto& filesystem : run.seen) {
    if (filesystem.reading && where(filesystem)) filesystem.reading->free += candidate.size;
  }
  run.at = goal_status_of(run);
  record(run, visit, candidate, Effect{candidate.size, {}, goal_status_at(run, where)});
}

void Reclaimer::record(ReclaimRun& run, const RungVisit& visit, const policy::Candidate& candidate, Effect effect) {
  StepFacts facts;
  facts.turn = visit.turn_of(candidate, parts_.settings.disk.grace);
  facts.candidate = candidate;
  facts.reported = effect.reported;
  facts.freed = std::move(effect.freed);
  facts.age = policy::age_of(candidate.last_use, parts_.clock.now());
  facts.after = std::move(effect.after);
  facts.dry_run = run.request.dry_run;
  facts.on_behalf_of = run.request.on_behalf_of;
  auto step = step_of(facts);
  if (run.progress) run.progress(step.reason);
  if (!run.request.quiet) parts_.journal.record(step_event(facts, step));
  run.result.steps.push_back(std::move(step));
}

}  // namespace buildwarden::disk
