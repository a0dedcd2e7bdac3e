// The whole ladder through time: what each rung has, what becomes of it, what must be deleted and what must not.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/format.h"
#include "daemon/reclaim/reclaimer.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_journal.h"
#include "tests/support/reclaim.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {
namespace {

using policy::RungId;
using std::chrono::hours;
using std::chrono::minutes;
using testing::run_on;

// A disk of 100 GiB with the target at 25.
class Disk final : public ports::FilesystemProbe {
 public:
  Disk() {
    place_.mount = "/docker";
    place_.gate = true;
    place_.device = "8:1";
    place_.roles = {"data_root"};
    place_.keeps = {ports::Kept::kImages, ports::Kept::kVolumes};
    place_.marks.target = 25 * kGiB;
    place_.reading.emplace();
    place_.reading->total = 100 * kGiB;
  }
  boost::asio::awaitable<std::vector<ports::FilesystemSnapshot>> measure() override {
    std::vector<ports::FilesystemSnapshot> all;
    all.push_back(place_);
    co_return all;
  }
  void is(policy::Level level, Bytes free) {
    place_.pressure.level = level;
    place_.reading->free = free;
    place_.reading->free_to_root = free;
  }
  void add(Bytes bytes) { is(place_.pressure.level, place_.reading->free + bytes); }
  [[nodiscard]] Bytes free() const { return place_.reading->free; }

 private:
  ports::FilesystemSnapshot place_;
};

enum class Fate { kFrees, kFreesNothing, kFails, kInUseByThen };

struct Thing {
  const char* name;
  Duration unused;
  Fate fate = Fate::kFrees;
};

// What a step of the table begins with.
struct Script {
  RungId id;
  std::vector<Thing> things;  // 5 GiB each
  bool cannot_list = false;
};

class ScriptedRung final : public ports::Evictor {
 public:
  ScriptedRung(Script script, const Clock& clock, Disk& disk, std::vector<std::string>& deleted)
      : script_(std::move(script)), clock_(clock), disk_(disk), deleted_(deleted) {}

  [[nodiscard]] RungId id() const override { return script_.id; }
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn&) override {
    if (script_.cannot_list) co_return Error(Errc::kTimeout, "the engine is slow");
    std::vector<policy::Candidate> candidates;
    for (const auto& thing : script_.things) {
      const bool gone = std::find(deleted_.begin(), deleted_.end(), thing.name) != deleted_.end();
      if (gone) continue;
      policy::Candidate candidate;
      candidate.id = thing.name;
      candidate.name = thing.name;
      candidate.size = 5 * kGiB;
      candidate.last_use.at = clock_.now().wall - thing.unused;
      candidate.last_use.observed = thing.unused;
      candidates.push_back(std::move(candidate));
    }
    co_return candidates;
  }
  ports::Async<ports::EvictionResult> evict(const policy::Candidate& candidate, const policy::RungTurn&) override {
    const auto thing = std::find_if(script_.things.begin(), script_.things.end(),
                                    [&](const Thing& one) { return candidate.id == one.name; });
    ports::EvictionResult taken;
    if (thing->fate == Fate::kFails) co_return Error(Errc::kIo, "the engine answers 500");
    if (thing->fate == Fate::kInUseByThen) {
      taken.dropped = "container web uses it by now";
      co_return taken;
    }
    deleted_.push_back(candidate.id);
    taken.reported = 5 * kGiB;
    if (thing->fate == Fate::kFrees) disk_.add(5 * kGiB);
    co_return taken;
  }

 private:
  Script script_;
  const Clock& clock_;
  Disk& disk_;
  std::vector<std::string>& deleted_;
};

class NobodyIn final : public ports::InUse {
 public:
  [[nodiscard]] ports::InUseSet now() const override { return {}; }
};

using Names = std::vector<std::string>;

struct Row {
  const char* name;
  policy::Level level;
  Bytes free_gib;
  std::vector<Script> ladder;
  Names deleted;  // in this order, and nothing else
  bool reached;
  Names events;  // of the kinds that say how it went, in order
};

class LadderTimeline : public ::testing::Test {
 protected:
  ports::SpaceResult climb(const Row& row, bool dry_run) {
    deleted_.clear();
    journal_.events.clear();
    disk_.is(row.level, row.free_gib * kGiB);
    std::deque<ScriptedRung> rungs;
    std::vector<ports::Evictor*> ladder;
    for (const auto& script : row.ladder) ladder.push_back(&rungs.emplace_back(script, clock_, disk_, deleted_));
    Reclaimer reclaimer({settings_, clock_, journal_, nobody_, disk_, ladder, testing::quick_pace(Duration{5}), {}});
    ports::SpaceRequest request;
    request.wait = minutes{5};
    request.dry_run = dry_run;
    ports::Progress quiet;
    const auto result = run_on(loop_, reclaimer.ensure(request, quiet));
    EXPECT_TRUE(result);
    return result ? *result : ports::SpaceResult{};
  }
  [[nodiscard]] Names events() const {
    Names kinds;
    for (const auto& event : journal_.events) {
      if (event.kind != "reclaim.step") kinds.push_back(event.kind);
    }
    return kinds;
  }

  Settings settings_;
  testing::FakeClock clock_;
  testing::FakeJournal journal_;
  NobodyIn nobody_;
  Disk disk_;
  std::vector<std::string> deleted_;
  boost::asio::io_context loop_;
};

constexpr auto kLow = policy::Level::kLow;
constexpr auto kCritical = policy::Level::kCritical;

// keep_used_within is 4 hours, grace 10 minutes.
const std::vector<Row>& timeline() {
  static const std::vector<Row> rows = {
      {"it stops at the target, within a rung",
       kLow,
       14,
       {{RungId::kContainers, {{"c1", hours{9}}}},
        {RungId::kBuildCache, {{"b1", hours{9}}, {"b2", hours{8}}}},
        {RungId::kImages, {{"i1", hours{90}}}}},
       {"c1", "b1", "b2"},
       true,
       {"reclaim.began", "reclaim.done"}},
      {"a rung that cannot be listed does not stop the next",
       kLow,
       14,
       {{RungId::kContainers, {{"c1", hours{9}}}, true},
        {RungId::kBuildCache, {{"b1", hours{9}}}},
        {RungId::kImages, {{"i1", hours{90}}, {"i2", hours{80}}}}},
       {"b1", "i1", "i2"},
       true,
       {"reclaim.rung_failed", "reclaim.began", "reclaim.done"}},
      {"a deletion that fails ends its rung, not the ladder",
       kLow,
       14,
       {{RungId::kBuildCache, {{"b1", hours{9}, Fate::kFails}, {"b2", hours{8}}}},
        {RungId::kImages, {{"i1", hours{90}}, {"i2", hours{80}}, {"i3", hours{70}}}}},
       {"i1", "i2", "i3"},
       true,
       {"reclaim.began", "reclaim.rung_failed", "reclaim.done"}},
      {"a rung that frees nothing is an error, and the next goes on",
       kLow,
       14,
       {{RungId::kBuildCache, {{"b1", hours{9}, Fate::kFreesNothing}}},
        {RungId::kImages, {{"i1", hours{90}}, {"i2", hours{80}}, {"i3", hours{70}}}}},
       {"b1", "i1", "i2", "i3"},
       true,
       {"reclaim.began", "reclaim.nothing_freed", "reclaim.done"}},
      {"what is used between plan and deletion stays",
       kLow,
       19,
       {{RungId::kImages, {{"i1", hours{90}, Fate::kInUseByThen}, {"i2", hours{80}}, {"i3", hours{70}}}}},
       {"i2", "i3"},
       true,
       {"reclaim.began", "reclaim.dropped", "reclaim.done"}},
      {"low: what was used within the age stays, and the goal is missed",
       kLow,
       14,
       {{RungId::kBuildCache, {{"b1", hours{3}}}}, {RungId::kImages, {{"i1", hours{90}}, {"i2", hours{2}}}}},
       {"i1"},
       false,
       {"reclaim.began", "reclaim.short"}},
      {"exactly as old as the age is old, exactly at the target is enough",
       kLow,
       20,
       {{RungId::kImages, {{"i1", hours{4}}, {"i2", hours{4}}}}},
       {"i1"},
       true,
       {"reclaim.began", "reclaim.done"}},
      {"critical: a second pass goes down to the grace, never below",
       kCritical,
       3,
       {{RungId::kBuildCache, {{"b1", hours{9}}, {"b2", hours{1}}, {"b3", minutes{9}}}},
        {RungId::kImages, {{"i1", hours{90}}, {"i2", minutes{11}}, {"i3", minutes{1}}}}},
       {"b1", "i1", "b2", "i2"},
       false,
       {"reclaim.began", "reclaim.short"}},
      {"everything fails: nothing is deleted, and that is said",
       kLow,
       14,
       {{RungId::kContainers, {}, true}, {RungId::kBuildCache, {}, true}, {RungId::kImages, {}, true}},
       {},
       false,
       {"reclaim.rung_failed", "reclaim.rung_failed", "reclaim.rung_failed", "reclaim.short"}},
  };
  return rows;
}

TEST_F(LadderTimeline, DoesWhatTheTableSaysAndNothingElse) {
  for (const auto& row : timeline()) {
    SCOPED_TRACE(row.name);
    const auto result = climb(row, false);
    EXPECT_EQ(deleted_, row.deleted);
    EXPECT_EQ(result.reached, row.reached) << result.reason;
    EXPECT_EQ(events(), row.events);
    clock_.advance(hours{1});
  }
}

TEST_F(LadderTimeline, ADryRunPlansAndDeletesNothing) {
  for (const auto& row : timeline()) {
    SCOPED_TRACE(row.name);
    climb(row, true);
    EXPECT_EQ(deleted_, Names{});
    EXPECT_EQ(disk_.free(), row.free_gib * kGiB);
    clock_.advance(hours{1});
  }
}

}  // namespace
}  // namespace buildwarden::disk
