// The reclaimer's hands: one deletion, its measurement, its record.
#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <set>
#include <utility>

#include "daemon/disk/climb.h"
#include "daemon/disk/reclaim_record.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

// After nothing showed for the whole time once, it is not waited for so long again.
constexpr int kImpatience = 10;

// Where the deletion of a candidate shows: settled before it, since a rung that has nothing left frees nothing any
// more.
Frees place_of(const std::vector<Measured>& filesystems, const ports::Rung& rung, const std::string& device) {
  std::set<std::string> devices;
  for (const auto& one : filesystems) {
    if (rung.frees(one) && (device.empty() || one.device == device)) devices.insert(one.device);
  }
  return [devices = std::move(devices)](const ports::Place& place) { return devices.contains(place.device); };
}

}  // namespace

asio::awaitable<void> Reclaimer::look(Climb& climb) {
  climb.seen = co_await parts_.meter.measure();
  climb.at = standing_of(climb);
  climb.looked = parts_.clock.now().boot;
}

asio::awaitable<bool> Reclaimer::take_one(Climb& climb, RungRun& run, policy::Candidate candidate) {
  // The last measurement may be as old as the pause and the questions since: others write all the while.
  const auto settled = climb.at;
  const auto settled_at = climb.looked;
  co_await look(climb);
  climb.in_haste = climb.in_haste || fills_at_once(settled, climb.at, climb.looked - settled_at);
  if (over(climb) || !helps(climb, run.rung, "")) co_return false;
  if (!helps(climb, run.rung, candidate.device)) co_return true;
  if (parts_.before_take) co_await parts_.before_take(candidate);
  if (over(climb) || outdated(climb)) co_return false;
  const auto where = place_of(climb.seen, run.rung, candidate.device);
  auto free_before = free_on(climb.seen, where);
  auto taken = co_await run.rung.take(candidate, run.turn);
  if (!taken) {
    run.failed = true;
    climb.result.hindered = true;
    parts_.journal.record(rung_failed_event(run.turn, taken.error()));
    co_return false;
  }
  if (!taken->dropped.empty()) {
    parts_.journal.record(dropped_event(run.turn, candidate, taken->dropped));
    co_return true;
  }
  auto freed = co_await settle(climb, where, std::move(free_before), taken->reported);
  ++run.deletions;
  run.promised += candidate.size - taken->spared;
  run.reported += taken->reported;
  run.freed += freed;
  Effect effect{taken->reported, std::move(freed), standing_at(climb, where)};
  record(climb, run, candidate, std::move(effect));
  co_return true;
}

// Until all that was reported is there, or some of it (inodes alone, perhaps) and no more comes. What is missing may
// come late, or be what others wrote meanwhile: it is waited for only where it would end the climb, else a writer that
// takes as much as a deletion frees would hold up those that follow.
asio::awaitable<policy::FreedSpace> Reclaimer::settle(Climb& climb, Frees where,
                                                      std::vector<policy::FreeReading> free_before, Bytes reported) {
  using WaitClock = asio::steady_timer::clock_type;
  const auto until = WaitClock::now() + climb.settle;
  policy::FreedSpace last;
  for (;;) {
    co_await look(climb);
    auto freed = policy::FreedSpace::between(free_before, free_on(climb.seen, where));
    const Bytes owed = std::max<Bytes>(climb.owed + reported - freed.bytes(), 0);
    if (freed.bytes() >= reported || !would_end(climb, where, owed)) {
      climb.owed = owed;
      co_return freed;
    }
    const bool no_more = freed.is_gain() && !freed.is_more_than(last);
    last = std::move(freed);
    if (no_more) break;
    if (loop_timer_.stopped() || WaitClock::now() >= until) {
      climb.settle = std::min(climb.settle, parts_.pace.settle / kImpatience);
      break;
    }
    co_await loop_timer_.sleep_for(parts_.pace.poll);
  }
  climb.owed = 0;
  co_return last;
}

// Whether `owed` more bytes would be enough there. A collection has no end that bytes could bring.
bool Reclaimer::would_end(const Climb& climb, const Frees& where, Bytes owed) {
  const auto there = standing_there(climb.seen, climb.request, where);
  return climb.only != nullptr || !there.can_help || there.free + owed >= there.wanted;
}

void Reclaimer::pretend(Climb& climb, RungRun& run, const policy::Candidate& candidate) {
  climb.pretended->order.push_back(candidate.id);
  climb.pretended->ids.insert(candidate.id);
  const auto where = place_of(climb.seen, run.rung, candidate.device);
  for (auto& filesystem : climb.seen) {
    if (filesystem.reading && where(filesystem)) filesystem.reading->free += candidate.size;
  }
  climb.at = standing_of(climb);
  record(climb, run, candidate, Effect{candidate.size, {}, standing_at(climb, where)});
}

void Reclaimer::record(Climb& climb, const RungRun& run, const policy::Candidate& candidate, Effect effect) {
  StepFacts facts;
  facts.turn = run.turn;
  facts.candidate = candidate;
  facts.reported = effect.reported;
  facts.freed = std::move(effect.freed);
  facts.age = policy::age_of(candidate.last_use, parts_.clock.now());
  facts.after = std::move(effect.after);
  facts.dry_run = climb.request.dry_run;
  facts.on_behalf_of = climb.request.on_behalf_of;
  auto step = step_of(facts);
  if (climb.progress) climb.progress(step.reason);
  if (!climb.request.quiet) parts_.journal.record(step_event(facts, step));
  climb.result.steps.push_back(std::move(step));
}

}  // namespace buildwarden::disk
