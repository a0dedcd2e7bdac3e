// For any history of a disk: the ballast never makes it worse.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "tests/support/ballast_disk.h"

namespace buildwarden::policy {
namespace {

using Disk = testing::BallastDisk;
using std::chrono::seconds;

// Whatever others write: making it leads to no worse level and never below low, it is given at exhausted alone, and
// once until it could be made again.
RC_GTEST_PROP(BallastHistory, MakingItNeverMakesAnythingWorse, ()) {
  Disk disk;
  disk.settings.min_free = Amount::bytes(*rc::gen::inRange<Bytes>(0, 60) * kGiB);
  disk.settings.reclaim_below = Amount::share(*rc::gen::inRange(0, 60) / 100.0);
  disk.settings.reclaim_to = Amount::share(*rc::gen::inRange(0, 90) / 100.0);
  disk.settings.ballast = Amount::bytes(*rc::gen::inRange<Bytes>(0, 4 * 1024) * kMiB);
  const auto steps = *rc::gen::container<std::vector<Bytes>>(rc::gen::inRange<Bytes>(0, 101 * 1024));
  bool given = false;
  for (const auto step : steps) {
    disk.clock.advance(seconds{2});
    disk.used = std::min(step * kMiB, testing::kDiskTotal - disk.held);
    const auto free = disk.reading().free;
    const auto act = disk.turn();
    if (act == "make") {
      RC_ASSERT(disk.level == Level::kOk);
      RC_ASSERT(disk.level_now() == Level::kOk);
      RC_ASSERT(disk.reading().free >= marks_for(disk.settings, disk.reading(), true).target);
      given = false;
    }
    if (act == "give") {
      RC_ASSERT(free < kMiB);
      RC_ASSERT(!given);
      given = true;
    }
    RC_ASSERT(act != "shrink" && act != "remove");
    RC_ASSERT(disk.held <= testing::kDiskTotal / 50);
  }
}

}  // namespace
}  // namespace buildwarden::policy
