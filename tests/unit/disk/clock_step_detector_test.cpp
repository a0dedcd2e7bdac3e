#include "daemon/filesystems/clock_step_detector.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/fake_clock.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::disk {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class ClockStepDetectorTest : public ::testing::Test {
 protected:
  // As of a daemon that has just started.
  [[nodiscard]] ClockStepDetector steps(const std::string& boot_id = "this-boot") const {
    return ClockStepDetector(folder_.path() + "/run", boot_id);
  }

  testing::FakeClock clock_;
  testing::TempFolder folder_;
};

TEST_F(ClockStepDetectorTest, TellsAStepOnceAndAddsSmallOnesUp) {
  ClockStepDetector steps;
  EXPECT_FALSE(steps.note(clock_.now()));
  clock_.advance(hours{9});
  clock_.step_wall(seconds{60});
  EXPECT_FALSE(steps.note(clock_.now()));
  EXPECT_TRUE(steps.steady_for(hours{4}, clock_.now()));
  clock_.step_wall(seconds{1});
  EXPECT_EQ(steps.note(clock_.now()), seconds{61});
  EXPECT_FALSE(steps.note(clock_.now()));
  EXPECT_FALSE(steps.steady_for(hours{4}, clock_.now()));
}

TEST_F(ClockStepDetectorTest, TellsAStepThatWasMadeWhileNoDaemonRan) {
  EXPECT_FALSE(steps().note(clock_.now()));
  clock_.advance(minutes{5});
  EXPECT_FALSE(steps().note(clock_.now())) << "a restart is no step";
  clock_.advance(minutes{5});
  clock_.step_wall(-hours{24});
  auto after = steps();
  EXPECT_EQ(after.note(clock_.now()), -hours{24});
  EXPECT_FALSE(after.steady_for(hours{4}, clock_.now()));
  EXPECT_FALSE(steps().note(clock_.now())) << "told once";
}

TEST_F(ClockStepDetectorTest, ARestartMakesNoClockSteady) {
  auto before = steps();
  before.note(clock_.now());
  clock_.step_wall(hours{24});
  before.note(clock_.now());
  clock_.advance(hours{1});
  EXPECT_FALSE(steps().steady_for(hours{4}, clock_.now()));
  clock_.advance(hours{3} + Duration{1});
  EXPECT_TRUE(steps().steady_for(hours{4}, clock_.now()));
}

TEST_F(ClockStepDetectorTest, KnowsNothingOfAnotherBootNorOfDamage) {
  steps().note(clock_.now());
  clock_.step_wall(hours{24});
  EXPECT_FALSE(steps("another-boot").note(clock_.now()));
  EXPECT_FALSE(steps("").note(clock_.now()));
  steps().note(clock_.now());
  clock_.step_wall(hours{24});
  for (const std::string text : {"", "this-boot", "this-boot 1 x 3", "\n\n"}) {
    std::ofstream(folder_.path() + "/run/clock") << text;
    EXPECT_FALSE(steps().note(clock_.now())) << text;
  }
}

}  // namespace
}  // namespace buildwarden::disk
