// A builder's container that ends again and again: when it gets a fresh volume, and when it must not.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "common/format.h"
#include "daemon/policy/builder.h"
#include "tests/support/fake_clock.h"

namespace buildwarden::policy {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using enum ContainerState;

// A builder that was warm once, as an engine would show it.
class CrashLoop : public ::testing::Test {
 protected:
  CrashLoop() {
    desired_.name = "s3";
    seen_.engine_up = true;
    seen_.image_present = true;
    seen_.disk_has_room = true;
    seen_.real.id = "1";
    seen_.real.ours = true;
    answer();
  }

  // The steps of one look; they are carried out on paper.
  std::string look() {
    const auto plan = reconcile(desired_, seen_, memory_, clock_.now());
    memory_ = plan.memory;
    reason_ = plan.reason;
    std::string text;
    for (const auto& step : plan.steps) {
      text += format("{}{}({})", text.empty() ? "" : " ", to_string(step.action), step.rule);
    }
    if (plan.steps.empty()) return text;
    if (plan.crashes_then) {
      memory_.crash = *plan.crashes_then;
      seen_.real.id += "'";
      seen_.real.restarts = 0;
    }
    memory_ = after_steps(memory_, false, clock_.now());
    return text;
  }
  void answer() {
    seen_.real.state = kRunning;
    seen_.answers = true;
    EXPECT_EQ(look(), "");
  }
  // As the engine does by its restart policy, with its growing pauses.
  std::string crash(int times) {
    std::string done;
    for (int i = 0; i < times; ++i) {
      clock_.advance(std::min<Duration>(milliseconds{100 << std::min(i, 20)}, minutes{1}));
      seen_.real.state = kRestarting;
      seen_.answers = false;
      ++seen_.real.restarts;
      done += look();
    }
    return done;
  }

  testing::FakeClock clock_;
  DesiredBuilder desired_;
  ObservedBuilder seen_;
  BuilderMemory memory_;
  std::string reason_;
};

constexpr const char* kAnew = "remove(crash_loop) create(crash_loop)";

TEST_F(CrashLoop, GetsAFreshVolumeAndTheOldOneIsKept) {
  EXPECT_EQ(crash(8), "") << "five ends, but not yet for half a minute";
  EXPECT_NE(reason_.find("has ended 7 times in 25"), std::string::npos) << reason_;
  EXPECT_EQ(crash(1), "");
  clock_.advance(seconds{6});
  EXPECT_EQ(look(), kAnew);
  EXPECT_EQ(memory_.crash.volume, 2);
  EXPECT_EQ(memory_.crash.left, 1);
  EXPECT_NE(reason_.find("on the fresh volume buildwarden_s3_2; the old one, buildwarden_s3, is kept"),
            std::string::npos)
      << reason_;
  answer();
  EXPECT_EQ(memory_.crash.volume, 2) << "from now on its own";
  EXPECT_EQ(memory_.crash.left, 0);
}

// Issue 15: buildkitd ends with 1 also when it is asked to end.
TEST_F(CrashLoop, IsNoneWhenOneThatAnsweredIsStopped) {
  clock_.advance(minutes{1});
  seen_.answers = false;
  seen_.real.state = ContainerState::kExited;
  seen_.real.exit_code = 1;
  seen_.real.ended = "then";
  EXPECT_EQ(look(), "start(exited)");
  EXPECT_EQ(reason_.find("without answering"), std::string::npos) << reason_;
  EXPECT_EQ(memory_.crash.count, 0);
  seen_.real.ended = "and again before it answers";
  EXPECT_EQ(look(), "start(exited)");
  EXPECT_EQ(memory_.crash.count, 1);
}

TEST_F(CrashLoop, GoesBackWhenAFreshOneDoesNotHelp) {
  EXPECT_EQ(crash(10), kAnew);
  look();
  EXPECT_EQ(crash(10), kAnew);
  EXPECT_EQ(memory_.crash.volume, 1) << "the cache was not the cause";
  look();
  EXPECT_EQ(crash(200), "") << "and no third one is tried";
  EXPECT_NE(reason_.find("on a fresh volume too"), std::string::npos) << reason_;
  answer();
  EXPECT_EQ(crash(10), kAnew) << "once it has lived, it may be the cache the next time";
  EXPECT_EQ(memory_.crash.volume, 3) << "never one that was used before";
}

TEST_F(CrashLoop, IsNoneWhenItAnswersInBetween) {
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(crash(2), "");
    clock_.advance(seconds{20});
    answer();
  }
}

TEST_F(CrashLoop, IsNoneWhenItEndsNowAndThen) {
  for (int i = 0; i < 100; ++i) {
    clock_.advance(minutes{4});
    EXPECT_EQ(crash(1), "");
  }
}

TEST_F(CrashLoop, IsNoneWhenSomebodyStopsOrKillsIt) {
  int serial = 0;
  for (const int code : {0, 137, 143, 130, 255}) {
    for (int i = 0; i < 20; ++i) {
      clock_.advance(seconds{16});
      seen_.real.state = kExited;
      seen_.answers = false;
      seen_.real.exit_code = code;
      seen_.real.ended = std::to_string(++serial);
      EXPECT_EQ(look(), "start(exited)");
    }
  }
}

TEST_F(CrashLoop, IsOneWithoutTheEnginesRestartsToo) {
  std::string done;
  for (int i = 0; i < 6; ++i) {  // the first is the end of a run that answered
    clock_.advance(seconds{9});
    seen_.real.state = kExited;
    seen_.answers = false;
    seen_.real.exit_code = 1;
    seen_.real.ended = std::to_string(i);
    done += look() + ";";
  }
  EXPECT_EQ(done, std::string("start(exited);start(exited);start(exited);start(exited);start(exited);") + kAnew + ";");
}

TEST_F(CrashLoop, IsNoneWhileTheEngineComesAndGoes) {
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(crash(3), "");
    seen_.engine_up = false;
    look();
    clock_.advance(seconds{10});
    seen_.engine_up = true;
  }
}

TEST_F(CrashLoop, IsNoneForASlowStartOrAMissingImage) {
  seen_.answers = false;
  for (int i = 0; i < 600; ++i) {
    clock_.advance(seconds{1});
    EXPECT_EQ(look(), "");
  }
  seen_.real = {};
  seen_.image_present = false;
  for (int i = 0; i < 100; ++i) {
    clock_.advance(minutes{1});
    EXPECT_EQ(look(), "provide_image(image_missing) create(removed)");
  }
  EXPECT_EQ(memory_.crash.volume, 1);
}

TEST_F(CrashLoop, WaitsForRoomOnTheDisk) {
  seen_.disk_has_room = false;
  EXPECT_EQ(crash(12), "");
  EXPECT_NE(reason_.find("has to wait for room on the disk"), std::string::npos) << reason_;
  seen_.disk_has_room = true;
  EXPECT_EQ(look(), kAnew);
}

TEST_F(CrashLoop, IsNotOursToEndForAForeignContainer) {
  seen_.real.ours = false;
  desired_.adopt_foreign = true;
  EXPECT_EQ(crash(30), "");
}

}  // namespace
}  // namespace buildwarden::policy
