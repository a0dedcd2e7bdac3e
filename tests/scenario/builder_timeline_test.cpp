// A builder through time: what is observed, what is done about it, and what must not be.
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

const std::string kFront = "buildx_buildkit_s30";
using enum ContainerState;

struct BuilderMoment {
  const char* name;
  Duration passes{0};  // since the moment before
  bool engine_up;
  ContainerState real;
  ContainerState front;
  bool answers;
  int running_builds;
  const char* spec;  // the one wanted; the container carries the one it was made from
  bool steps_fail;
  const char* steps;
  BuilderState state;
};

// Carries the steps out on paper, as the builders' room does for real.
class Paper {
 public:
  void play(const std::vector<BuilderMoment>& timeline) {
    for (const auto& moment : timeline) {
      SCOPED_TRACE(moment.name);
      clock_.advance(moment.passes);
      const auto plan = reconcile(desired(moment), observed(moment), memory_, clock_.now());
      EXPECT_EQ(show(plan.steps), moment.steps);
      EXPECT_EQ(to_string(plan.state), to_string(moment.state)) << plan.reason;
      EXPECT_GT(plan.again.count(), 0);
      for (const auto& step : plan.steps) {
        const bool kills = step.action == BuilderAction::kRemove || step.action == BuilderAction::kRemoveFront;
        EXPECT_FALSE(kills && moment.running_builds > 0 && moment.real == kRunning) << step.reason;
      }
      memory_ = plan.memory;
      if (plan.steps.empty()) continue;
      memory_ = after_steps(memory_, moment.steps_fail, clock_.now());
      if (!moment.steps_fail) made_from_ = moment.spec;
    }
  }

 private:
  static std::string show(const std::vector<BuilderStep>& steps) {
    std::string text;
    for (const auto& step : steps) text += format("{}{}", text.empty() ? "" : " ", to_string(step.action));
    return text;
  }

  static DesiredBuilder desired(const BuilderMoment& moment) {
    DesiredBuilder value;
    value.name = "s3";
    value.spec_digest = moment.spec;
    value.fronts = {kFront};
    value.front_digest = "front";
    return value;
  }

  [[nodiscard]] ObservedBuilder observed(const BuilderMoment& moment) const {
    ObservedBuilder value;
    value.engine_up = moment.engine_up;
    value.image_present = true;
    value.real = {.state = moment.real, .id = "1", .ours = true, .spec_digest = made_from_, .image_id = ""};
    value.fronts[kFront] = {.state = moment.front, .id = "2", .ours = true, .spec_digest = "front", .image_id = ""};
    value.answers = moment.answers;
    value.running_builds = moment.running_builds;
    return value;
  }

  testing::FakeClock clock_;
  BuilderMemory memory_;
  std::string made_from_;
};

constexpr auto kWarm = BuilderState::kWarm;
constexpr auto kStarting = BuilderState::kStarting;
constexpr auto kHealing = BuilderState::kHealing;
constexpr auto kDown = BuilderState::kDown;

TEST(BuilderTimeline, IsMadeWarmAndHealedFromEveryLoss) {
  Paper().play({
      {"before the engine", seconds{0}, false, kMissing, kMissing, false, 0, "a", false, "", kDown},
      {"nothing there", seconds{1}, true, kMissing, kMissing, false, 0, "a", false, "create create_front", kStarting},
      {"runs", milliseconds{200}, true, kRunning, kRunning, false, 0, "a", false, "", kStarting},
      {"answers", milliseconds{200}, true, kRunning, kRunning, true, 0, "a", false, "", kWarm},
      {"stopped", seconds{60}, true, kExited, kRunning, false, 0, "a", false, "start", kHealing},
      {"warm again", seconds{1}, true, kRunning, kRunning, true, 0, "a", false, "", kWarm},
      {"paused", seconds{60}, true, kPaused, kRunning, false, 1, "a", false, "unpause", kHealing},
      {"warm again", seconds{1}, true, kRunning, kRunning, true, 1, "a", false, "", kWarm},
      {"removed", seconds{60}, true, kMissing, kRunning, false, 0, "a", false, "create", kHealing},
      {"warm again", seconds{1}, true, kRunning, kRunning, true, 0, "a", false, "", kWarm},
      {"a job's rm took the front", seconds{9}, true, kRunning, kMissing, true, 1, "a", false, "create_front", kWarm},
      {"all of it", seconds{60}, true, kMissing, kMissing, false, 0, "a", false, "create create_front", kHealing},
      {"warm again", seconds{1}, true, kRunning, kRunning, true, 0, "a", false, "", kWarm},
      {"the engine dies", seconds{60}, false, kRunning, kRunning, true, 0, "a", false, "", kDown},
      {"the engine is back", seconds{9}, true, kExited, kExited, false, 0, "a", false, "start start_front", kHealing},
      {"warm again", seconds{1}, true, kRunning, kRunning, true, 0, "a", false, "", kWarm},
  });
}

TEST(BuilderTimeline, AChangeWaitsForTheBuilds) {
  Paper().play({
      {"made", seconds{0}, true, kMissing, kMissing, false, 0, "a", false, "create create_front", kStarting},
      {"building", seconds{1}, true, kRunning, kRunning, true, 2, "a", false, "", kWarm},
      {"changed while it builds", seconds{5}, true, kRunning, kRunning, true, 2, "b", false, "", kWarm},
      {"still building", minutes{30}, true, kRunning, kRunning, true, 1, "b", false, "", kWarm},
      {"idle", seconds{5}, true, kRunning, kRunning, true, 0, "b", false, "remove create", kWarm},
      {"made anew", milliseconds{300}, true, kRunning, kRunning, false, 0, "b", false, "", kHealing},
      {"warm", seconds{1}, true, kRunning, kRunning, true, 0, "b", false, "", kWarm},
  });
}

TEST(BuilderTimeline, BacksOffWhileStepsFailAndTriesAgain) {
  Paper().play({
      {"fails", seconds{0}, true, kMissing, kMissing, false, 0, "a", true, "create create_front", kStarting},
      {"held back", milliseconds{999}, true, kMissing, kMissing, false, 0, "a", true, "", kDown},
      {"fails again", milliseconds{1}, true, kMissing, kMissing, false, 0, "a", true, "create create_front", kStarting},
      {"held back longer", milliseconds{1999}, true, kMissing, kMissing, false, 0, "a", true, "", kDown},
      {"works", milliseconds{1}, true, kMissing, kMissing, false, 0, "a", false, "create create_front", kStarting},
      {"warm", seconds{1}, true, kRunning, kRunning, true, 0, "a", false, "", kWarm},
      {"a loss is healed at once", seconds{1}, true, kExited, kRunning, false, 0, "a", false, "start", kHealing},
  });
}

// A container that exits directly after each start: healed at once at first, then at a pace that costs nothing.
TEST(BuilderTimeline, ACrashLoopIsPaced) {
  testing::FakeClock clock;
  DesiredBuilder desired;
  desired.name = "s3";
  ObservedBuilder observed;
  observed.engine_up = true;
  observed.image_present = true;
  observed.real = {.state = kExited, .id = "1", .ours = true, .spec_digest = "", .image_id = ""};
  BuilderMemory memory;
  int starts = 0;
  for (int i = 0; i < 60 * 60 * 10; ++i) {
    const auto plan = reconcile(desired, observed, memory, clock.now());
    memory = plan.memory;
    if (!plan.steps.empty()) {
      ++starts;
      memory = after_steps(memory, false, clock.now());
    }
    clock.advance(milliseconds{100});
  }
  EXPECT_GE(starts, 240);
  EXPECT_LE(starts, 250);
}

}  // namespace
}  // namespace buildwarden::policy
