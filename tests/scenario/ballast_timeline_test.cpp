// A disk with a ballast through time: what is held, given and made again, and what must not be.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/support/ballast_disk.h"

namespace buildwarden::policy {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

using Disk = testing::BallastDisk;

struct BallastMoment {
  const char* name;
  Duration passes{0};  // since the moment before
  Bytes used = 0;      // by others
  const char* level;
  const char* act;
  Bytes held = 0;  // afterwards
};

void play(Disk& disk, const std::vector<BallastMoment>& timeline) {
  for (const auto& moment : timeline) {
    SCOPED_TRACE(moment.name);
    disk.clock.advance(moment.passes);
    disk.used = moment.used;
    EXPECT_EQ(disk.turn(), moment.act);
    EXPECT_EQ(to_string(disk.level), moment.level);
    EXPECT_EQ(disk.held, moment.held);
  }
}

TEST(BallastTimeline, IsGivenOnceAndComesBackWhenTheReclaimIsOver) {
  Disk disk;
  play(disk, {
                 {"calm", seconds{0}, 40 * kGiB, "ok", "make", kGiB},
                 {"held", minutes{1}, 40 * kGiB, "ok", "keep", kGiB},
                 {"low", minutes{1}, 86 * kGiB, "low", "keep", kGiB},
                 {"critical", minutes{1}, 97 * kGiB, "critical", "keep", kGiB},
                 {"a sliver", seconds{1}, 99 * kGiB - kMiB, "critical", "keep", kGiB},
                 {"full", seconds{1}, 99 * kGiB, "exhausted", "give", 0},
                 {"what was given", seconds{1}, 99 * kGiB, "critical", "keep", 0},
                 {"full again", seconds{1}, 100 * kGiB, "exhausted", "keep", 0},
                 {"and still", seconds{1}, 100 * kGiB, "exhausted", "keep", 0},
                 {"reclaimed to critical", minutes{1}, 95 * kGiB, "low", "keep", 0},
                 {"to low", minutes{1}, 85 * kGiB, "low", "keep", 0},
                 {"a byte below the target", minutes{1}, 75 * kGiB + 1, "low", "keep", 0},
                 {"at the target", minutes{1}, 75 * kGiB, "ok", "keep", 0},
                 {"a byte below target and ballast", minutes{1}, 74 * kGiB + 1, "ok", "keep", 0},
                 {"at target and ballast", minutes{1}, 74 * kGiB, "ok", "make", kGiB},
                 {"held again", minutes{1}, 74 * kGiB, "ok", "keep", kGiB},
             });
}

TEST(BallastTimeline, ADiskThatStaysFullIsNotPlayedWith) {
  Disk disk;
  disk.used = 40 * kGiB;
  disk.turn();
  int given = 0;
  for (int i = 0; i < 200; ++i) {
    disk.clock.advance(seconds{1});
    disk.used = i % 2 == 0 ? 100 * kGiB : 98 * kGiB;
    const auto act = disk.turn();
    given += act == "give" ? 1 : 0;
    EXPECT_NE(act, "make");
  }
  EXPECT_EQ(given, 1);
}

TEST(BallastTimeline, NothingIsMadeAboveATargetThatTheForecastDoesNotTrust) {
  Disk disk;
  disk.wishes_known = false;
  disk.used = 20 * kGiB;
  for (int i = 0; i < 30; ++i) {
    disk.turn();
    disk.clock.advance(seconds{1});
    disk.used += kGiB;
  }
  disk.wishes_known = true;
  EXPECT_EQ(disk.turn(), "keep") << "at 1 GiB/s it is full in a minute";
  EXPECT_EQ(to_string(disk.level), "ok");
}

TEST(BallastTimeline, FollowsTheConfigurationWhileItRuns) {
  Disk disk;
  play(disk, {{"made", seconds{0}, 40 * kGiB, "ok", "make", kGiB}});
  disk.settings.ballast = Amount::share(0.015);
  play(disk, {{"made larger", minutes{1}, 40 * kGiB, "ok", "make", 1536 * kMiB}});
  disk.settings.ballast = Amount::bytes(512 * kMiB);
  play(disk, {{"cut, at critical too", minutes{1}, 97 * kGiB, "critical", "shrink", 512 * kMiB}});
  disk.settings.ballast = Amount::bytes(0);
  play(disk, {{"removed", minutes{1}, 97 * kGiB, "critical", "remove", 0},
              {"and not made again", minutes{1}, 10 * kGiB, "ok", "keep", 0}});
}

}  // namespace
}  // namespace buildwarden::policy
