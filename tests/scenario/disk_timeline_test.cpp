// A disk through time: reading by reading, what would be deleted, and what must not be.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "common/format.h"
#include "daemon/policy/eviction_order.h"
#include "daemon/policy/ladder.h"
#include "daemon/policy/pressure.h"
#include "tests/support/fake_clock.h"

namespace buildwarden::policy {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Bytes kTotal = 100 * kGiB;
using Actions = std::vector<std::string>;

// A host with images, of which one is used, one kept, one the builder's; times are of the clock's start.
class Host {
 public:
  Host() {
    add("base", hours{90}).in_use_by = "container web";
    add("builder", hours{90}).protected_as = "builder image";
    add("kept/tool", hours{90});
    add("ancient", hours{80});
    add("old", hours{30});
    add("recent", hours{1});
    add("fresh", minutes{5});
    settings_.keep = {"kept/*"};
    settings_.keep_used_within = hours{4};
  }

  // One turn, as the daemon takes it; the whole plan, since nothing is deleted in between.
  Actions turn(std::optional<Bytes> free, Bytes total = kTotal) {
    const auto now = clock.now();
    std::optional<Reading> reading;
    if (free) reading = Reading{total, *free, 0, 0, now};
    auto [pressure, memory] = assess(reading, marks_for(settings_, Reading{total, 0, 0, 0, now}, true), memory_);
    memory_ = std::move(memory);
    last = pressure;
    if (!pressure.reclaim) return {};
    Actions actions;
    for (const auto& turn : climb(request(pressure.level))) act(turn, now, actions);
    return actions;
  }

  testing::FakeClock clock;
  Pressure last;
  OnFullSettings on_full;
  std::optional<WallTime> oldest_job_start;

 private:
  Candidate& add(std::string id, Duration unused) {
    Candidate image;
    image.references = {id + ":1"};
    image.id = std::move(id);
    image.last_use = {clock.now().wall - unused, unused};
    images_.push_back(std::move(image));
    return images_.back();
  }

  [[nodiscard]] LadderRequest request(Level level) const {
    LadderRequest request;
    request.level = level;
    request.keep_used_within = settings_.keep_used_within;
    request.grace = settings_.grace;
    request.purge_builds = on_full.purge_builds;
    request.terminate_instance = on_full.terminate_instance;
    return request;
  }

  // The images as they are seen now: what has passed on the boot clock since they were added was observed.
  [[nodiscard]] std::vector<Candidate> images_now(Now now) const {
    auto images = images_;
    for (auto& image : images) image.last_use.observed += now.boot - start_;
    return images;
  }

  void act(const RungTurn& turn, Now now, Actions& actions) const {
    if (turn.rung == RungId::kCheckouts) actions.emplace_back("purge checkouts");
    if (turn.rung == RungId::kLastResort) actions.emplace_back(turn.terminate ? "terminate" : "refuse jobs");
    if (turn.rung != RungId::kImages) return;
    EvictionRules rules{turn.age, settings_.grace, settings_.keep, oldest_job_start};
    for (const auto& image : rank(images_now(now), rules, now).order)
      actions.push_back(format("pass {}: {}", turn.pass, image.id));
  }

  DiskSettings settings_;
  PressureMemory memory_;
  std::vector<Candidate> images_;
  BootTime start_ = clock.now().boot;
};

struct DiskMoment {
  const char* name;
  Duration passes{0};  // since the moment before
  std::optional<Bytes> free;
  const char* level;
  const char* rule;
  Actions expected;   // in this order, perhaps with others between
  Actions forbidden;  // in whole or in part of an action
  Bytes total = kTotal;
};

void expect_actions(const DiskMoment& moment, const Actions& actions) {
  auto from = actions.begin();
  for (const auto& action : moment.expected) {
    from = std::find(from, actions.end(), action);
    ASSERT_NE(from, actions.end()) << "expected: " << action;
    ++from;
  }
  if (moment.expected.empty()) {
    EXPECT_TRUE(actions.empty()) << actions.front();
  }
  for (const auto& never : moment.forbidden) {
    for (const auto& action : actions) EXPECT_EQ(action.find(never), std::string::npos) << "forbidden: " << action;
  }
}

void play(Host& host, const std::vector<DiskMoment>& timeline) {
  for (const auto& moment : timeline) {
    SCOPED_TRACE(moment.name);
    host.clock.advance(moment.passes);
    const auto actions = host.turn(moment.free, moment.total);
    EXPECT_EQ(to_string(host.last.level), moment.level);
    EXPECT_EQ(host.last.rule, moment.rule);
    expect_actions(moment, actions);
  }
}

const Actions kNever = {"base", "builder", "kept", "fresh"};
const Actions kNeverAtLow = {"base", "builder", "kept", "fresh", "recent", "purge", "terminate", "refuse"};

TEST(DiskTimeline, FillsIsReclaimedAndRecovers) {
  Host host;
  play(host, {
                 {"calm", seconds{0}, 60 * kGiB, "ok", "enough", {}, {}},
                 {"equal to low", hours{1}, 15 * kGiB, "ok", "enough", {}, {}},
                 {"below low",
                  hours{1},
                  14 * kGiB,
                  "low",
                  "free_below_low",
                  {"pass 1: ancient", "pass 1: old"},
                  {"base", "builder", "kept", "recent", "fresh", "purge", "terminate", "refuse"}},
                 {"above low, below target",
                  minutes{1},
                  24 * kGiB,
                  "low",
                  "until_target",
                  {"pass 1: ancient"},
                  {"purge", "terminate", "refuse"}},
                 {"at the target", minutes{1}, 25 * kGiB, "ok", "enough", {}, {}},
                 {"below the target again", minutes{1}, 24 * kGiB, "ok", "enough", {}, {}},
             });
}

TEST(DiskTimeline, AtCriticalTheGraceStillHolds) {
  Host host;
  play(host,
       {
           {"low", seconds{0}, 14 * kGiB, "low", "free_below_low", {"pass 1: ancient", "pass 1: old"}, kNeverAtLow},
           {"critical",
            seconds{60},
            5 * kGiB - 1,
            "critical",
            "free_below_critical",
            {"pass 1: ancient", "pass 1: old", "pass 2: ancient", "pass 2: old", "pass 2: recent", "refuse jobs"},
            {"base", "builder", "kept", "fresh", "purge", "terminate"}},
           {"equal to the sliver", seconds{60}, kMiB, "critical", "free_below_critical", {"pass 2: recent"}, kNever},
           {"a byte less", seconds{60}, kMiB - 1, "exhausted", "free_exhausted", {"pass 2: recent"}, kNever},
           {"exhausted", seconds{60}, 0, "exhausted", "free_exhausted", {"pass 2: recent", "refuse jobs"}, kNever},
           {"critical is over", seconds{60}, 5 * kGiB, "low", "free_below_low", {"pass 1: ancient"}, kNeverAtLow},
       });
}

TEST(DiskTimeline, FlagsAllowTheLastRungsOnlyAtCritical) {
  Host host;
  host.on_full.purge_builds = true;
  host.on_full.terminate_instance = true;
  play(host, {
                 {"low", seconds{0}, 14 * kGiB, "low", "free_below_low", {"pass 1: ancient"}, kNeverAtLow},
                 {"critical",
                  seconds{60},
                  kGiB,
                  "critical",
                  "free_below_critical",
                  {"pass 2: recent", "purge checkouts", "terminate"},
                  kNever},
             });
}

TEST(DiskTimeline, WithoutAReadingNothingStartsAndNothingIsForgotten) {
  Host host;
  play(host, {
                 {"failed at the start", seconds{0}, std::nullopt, "unknown", "no_reading", {}, {}},
                 {"critical", seconds{60}, kGiB, "critical", "free_below_critical", {"pass 2: recent"}, kNever},
                 {"failed", seconds{60}, std::nullopt, "unknown", "no_reading", {}, {}},
                 {"more free than there is", seconds{60}, kTotal + 1, "unknown", "bad_reading", {}, {}},
                 {"no size at all", seconds{60}, 0, "unknown", "bad_reading", {}, {}, 0},
                 {"less than nothing free", seconds{60}, -1, "unknown", "bad_reading", {}, {}},
                 {"still below the target",
                  minutes{60},
                  24 * kGiB,
                  "low",
                  "until_target",
                  {"pass 1: ancient"},
                  {"purge", "terminate", "refuse"}},
             });
}

TEST(DiskTimeline, AStepOfTheWallClockNeitherEndsNorBeginsAShortage) {
  Host host;
  play(host, {{"low", seconds{0}, 14 * kGiB, "low", "free_below_low", {"pass 1: ancient"}, kNeverAtLow}});
  host.clock.step_wall(-hours{48});
  play(host,
       {{"still below the target", minutes{1}, 20 * kGiB, "low", "until_target", {"pass 1: ancient"}, {"recent"}}});
  host.clock.step_wall(hours{24 * 365});
  play(host, {{"still", minutes{1}, 20 * kGiB, "low", "until_target", {"pass 1: ancient"}, {"recent", "fresh"}},
              {"at the target", minutes{1}, 25 * kGiB, "ok", "enough", {}, {}}});
}

TEST(DiskTimeline, AStepOfTheWallClockMakesNothingOld) {
  Host host;
  host.clock.step_wall(hours{24 * 30});
  play(host, {{"set forward by a month",
               seconds{0},
               kGiB,
               "critical",
               "free_below_critical",
               {"pass 1: ancient", "pass 1: old", "pass 2: recent"},
               {"pass 1: recent", "fresh", "base", "builder", "kept"}}});
  Host back;
  back.clock.step_wall(-hours{24 * 30});
  play(back, {{"set back by a month",
               seconds{0},
               kGiB,
               "critical",
               "free_below_critical",
               {"refuse jobs"},
               {"ancient", "old", "recent", "fresh"}}});
}

TEST(DiskTimeline, WhatARunningJobMayUseStaysAtEveryLevel) {
  Host host;
  host.oldest_job_start = host.clock.now().wall - hours{40};
  play(host, {
                 {"low", seconds{0}, 14 * kGiB, "low", "free_below_low", {"pass 1: ancient"}, {"old", "recent"}},
                 {"exhausted",
                  seconds{60},
                  0,
                  "exhausted",
                  "free_exhausted",
                  {"pass 1: ancient", "pass 2: ancient"},
                  {"old", "recent", "fresh"}},
             });
}

// A writer that the policy itself samples: how far it comes before space is asked for.
struct Fill {
  Bytes free_when_asked = 0;
  std::string rule;
  int samples = 0;
};

Fill fill_at(Bytes per_second, Duration calm_before) {
  testing::FakeClock clock;
  const auto marks = marks_for({}, Reading{kTotal, 0, 0, 0, {}}, true);
  PressureMemory memory;
  Fill fill;
  Bytes free = 60 * kGiB;
  Duration writing{0};
  for (Duration passed{0}; passed < hours{1};) {
    ++fill.samples;
    auto [pressure, next] = assess(Reading{kTotal, free, 0, 0, clock.now()}, marks, memory);
    memory = std::move(next);
    fill.free_when_asked = free;
    fill.rule = pressure.rule;
    if (pressure.reclaim) return fill;
    clock.advance(pressure.next_sample);
    passed += pressure.next_sample;
    if (passed > calm_before) writing += pressure.next_sample;
    free = std::max<Bytes>(60 * kGiB - per_second * writing.count() / 1000, 0);
  }
  return fill;
}

TEST(DiskForecast, AsksBeforeTheLowMarkWhenAFastWriterComes) {
  for (const Bytes rate : {500 * kMiB, kGiB, 2 * kGiB}) {
    SCOPED_TRACE(format_bytes(rate));
    const auto fill = fill_at(rate, minutes{5});
    EXPECT_EQ(fill.rule, "forecast");
    EXPECT_GT(fill.free_when_asked, 15 * kGiB);
  }
}

TEST(DiskForecast, ASlowWriterIsLeftToTheLowMark) {
  const auto fill = fill_at(20 * kMiB, minutes{5});
  EXPECT_EQ(fill.rule, "free_below_low");
  EXPECT_GT(fill.free_when_asked, 14 * kGiB);
}

TEST(DiskForecast, ACalmDiskWithRoomIsSampledEverySixSeconds) {
  const auto fill = fill_at(0, hours{1});
  EXPECT_EQ(fill.rule, "enough");
  EXPECT_EQ(fill.samples, 600);
}

TEST(DiskForecast, ABurstIsNoTrend) {
  testing::FakeClock clock;
  const auto marks = marks_for({}, Reading{kTotal, 0, 0, 0, {}}, true);
  PressureMemory memory;
  for (int i = 0; i < 40; ++i) {
    const Bytes free = i < 20 ? 60 * kGiB : 30 * kGiB;
    auto [pressure, next] = assess(Reading{kTotal, free, 0, 0, clock.now()}, marks, memory);
    memory = std::move(next);
    ASSERT_FALSE(pressure.reclaim) << "sample " << i << ": " << pressure.reason;
    if (i == 20) {
      EXPECT_EQ(pressure.next_sample, Duration{100}) << "a closer look at the burst";
    }
    clock.advance(pressure.next_sample);
  }
}

TEST(DiskForecast, NoRateIsTakenOverAGap) {
  testing::FakeClock clock;
  const auto marks = marks_for({}, Reading{kTotal, 0, 0, 0, {}}, true);
  PressureMemory memory;
  const auto turn = [&](std::optional<Bytes> free) {
    std::optional<Reading> reading;
    if (free) reading = Reading{kTotal, *free, 0, 0, clock.now()};
    auto [pressure, next] = assess(reading, marks, memory);
    memory = std::move(next);
    clock.advance(seconds{1});
    return pressure;
  };
  for (int i = 0; i < 10; ++i) turn(90 * kGiB - 10 * kMiB * i);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(turn(std::nullopt).level, Level::kUnknown);
  const auto after = turn(20 * kGiB);
  EXPECT_EQ(after.rule, "enough");
  EXPECT_EQ(after.fill_bytes_per_second, 0);
  EXPECT_FALSE(after.until_critical);
}

TEST(DiskPace, IsFastWhileADiskBelowOkFillsAndEasesWhenItStandsStill) {
  testing::FakeClock clock;
  const auto marks = marks_for({}, Reading{kTotal, 0, 0, 0, {}}, true);
  PressureMemory memory;
  const auto after_samples = [&](int count, Bytes free, Bytes per_sample) {
    Duration pace{0};
    for (int i = 0; i < count; ++i) {
      auto [pressure, next] = assess(Reading{kTotal, free - per_sample * i, 0, 0, clock.now()}, marks, memory);
      memory = std::move(next);
      pace = pressure.next_sample;
      clock.advance(pace);
    }
    return pace;
  };
  EXPECT_EQ(after_samples(1, 10 * kGiB, 0), Duration{50});
  EXPECT_EQ(after_samples(60, 10 * kGiB, 0), Duration{250});
  EXPECT_EQ(after_samples(60, 10 * kGiB, 10 * kMiB), Duration{50});
  EXPECT_EQ(after_samples(300, 4 * kGiB, 5 * kMiB), Duration{20});
}

}  // namespace
}  // namespace buildwarden::policy
