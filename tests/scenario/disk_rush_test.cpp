// A small disk and a fast writer: when it is looked at, and when space is asked for.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "common/format.h"
#include "daemon/policy/pressure.h"
#include "tests/support/fake_clock.h"

namespace buildwarden::policy {
namespace {

using std::chrono::minutes;

// A small disk, of which little is free: 6 GiB with the marks at 0.2, 0.9 and 1.5.
class SmallDisk {
 public:
  SmallDisk() {
    settings_.min_free = Amount::bytes(200 * kMiB);
    settings_.min_free_inodes = 100;
  }
  Pressure look(Bytes free) {
    const Reading reading{kSize, free, 0, 0, clock.now()};
    auto [pressure, next] = assess(reading, marks_for(settings_, reading, true), memory_);
    memory_ = std::move(next);
    return pressure;
  }
  static constexpr Bytes kSize = 6 * kGiB;
  testing::FakeClock clock;

 private:
  DiskSettings settings_;
  PressureMemory memory_;
};

// What is still free when space is asked for, where the writer begins `phase` after a look.
Bytes free_when_rush_is_seen(Bytes per_second, Duration phase) {
  SmallDisk disk;
  constexpr Bytes kStart = 2700 * kMiB;
  auto pressure = disk.look(kStart);
  for (int i = 0; i < 5; ++i) {
    disk.clock.advance(pressure.next_sample);
    pressure = disk.look(kStart);
  }
  auto free = kStart;
  for (auto written = -phase; !pressure.reclaim;) {
    disk.clock.advance(pressure.next_sample);
    written += pressure.next_sample;
    free = kStart - per_second * std::max(written, Duration{0}).count() / 1000;
    pressure = disk.look(free);
  }
  return free;
}

TEST(DiskRush, LeavesMostOfWhatLiesBelowTheLowMarkWheneverItBegins) {
  for (const Bytes rate : {500 * kMiB, kGiB, 2 * kGiB}) {
    for (int phase = 0; phase < 1000; phase += 50) {
      SCOPED_TRACE(format("{}/s from {} ms on", format_bytes(rate), phase));
      EXPECT_GT(free_when_rush_is_seen(rate, Duration{phase}), 720 * kMiB);
    }
  }
}

TEST(DiskRush, IsForeseenOnlyWhereCriticalIsAMomentAway) {
  SmallDisk near;
  SmallDisk far;
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(near.look(2000 * kMiB - i * 60 * kMiB).reclaim) << "look " << i;
    EXPECT_FALSE(far.look(5500 * kMiB - i * 60 * kMiB).reclaim) << "look " << i;
    near.clock.advance(Duration{50});
    far.clock.advance(Duration{50});
  }
  const auto foreseen = near.look(1820 * kMiB);
  EXPECT_TRUE(foreseen.reclaim);
  EXPECT_EQ(foreseen.level, Level::kOk);
  EXPECT_EQ(foreseen.rule, "forecast");
  EXPECT_NE(foreseen.reason.find("1.17 GiB/s or more"), std::string::npos) << foreseen.reason;
  EXPECT_FALSE(far.look(5320 * kMiB).reclaim) << "four seconds away: a trend will tell";
}

TEST(DiskRush, ARestingDiskIsLookedAtOftenOnlyAtItsMark) {
  SmallDisk disk;
  const auto pace_at = [&disk](Bytes free) {
    disk.clock.advance(minutes{1});
    return disk.look(free).next_sample;
  };
  EXPECT_EQ(pace_at(5500 * kMiB), Duration{1117});
  EXPECT_EQ(pace_at(2000 * kMiB), Duration{263});
  EXPECT_EQ(pace_at(930 * kMiB), Duration{50});
}

}  // namespace
}  // namespace buildwarden::policy
