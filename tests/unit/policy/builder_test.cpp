#include <chrono>

#include "tests/unit/policy/builder_cases.h"

namespace buildwarden::policy {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

using namespace cases;  // NOLINT(google-build-using-namespace)

TEST(Reconcile, HealsTheRealContainer) {
  using enum ContainerState;
  const auto real_is = [](ContainerState state) {
    return [state](DesiredBuilder&, ObservedBuilder& seen) {
      seen.real.state = state;
      seen.answers = false;
    };
  };
  expect_plans(
      {
          {"warm", [](auto&, auto&) {}, "", BuilderState::kWarm},
          {"exited", real_is(kExited), "start(exited)", BuilderState::kHealing},
          {"created", real_is(kCreated), "start(created)", BuilderState::kHealing},
          {"paused", real_is(kPaused), "unpause(paused)", BuilderState::kHealing},
          {"paused, answered before", [](auto&, auto& seen) { seen.real.state = kPaused; }, "unpause(paused)",
           BuilderState::kHealing},
          {"dead", real_is(kDead), "remove(dead) create(dead)", BuilderState::kHealing},
          {"restarting", real_is(kRestarting), "", BuilderState::kHealing},
          {"removed", real_is(kMissing), "create(removed)", BuilderState::kHealing},
          {"does not answer", real_is(kRunning), "", BuilderState::kHealing},
          {"dead with builds, which are gone with it",
           [](auto&, auto& seen) {
             seen.real.state = kDead;
             seen.running_builds = 3;
           },
           "remove(dead) create(dead)", BuilderState::kHealing},
          {"removed, image too",
           [](auto&, auto& seen) {
             seen.real = {};
             seen.image_present = false;
           },
           "provide_image(image_missing) create(removed)", BuilderState::kHealing},
          {"image gone while it runs", [](auto&, auto& seen) { seen.image_present = false; }, "", BuilderState::kWarm},
          {"everything gone",
           [](auto&, auto& seen) {
             seen.real = {};
             seen.fronts.clear();
             seen.image_present = false;
           },
           "provide_image(image_missing) create(removed) create_front(front_gone)", BuilderState::kHealing},
      },
      warm_before());
}

TEST(Reconcile, IsStartingBeforeTheFirstWarm) {
  expect_plans(
      {
          {"nothing there",
           [](auto&, auto& seen) {
             seen.real = {};
             seen.fronts.clear();
             seen.image_present = false;
           },
           "provide_image(image_missing) create(missing) create_front(front_gone)", BuilderState::kStarting},
          {"does not answer yet", [](auto&, auto& seen) { seen.answers = false; }, "", BuilderState::kStarting},
          {"exited", [](auto&, auto& seen) { seen.real.state = ContainerState::kExited; }, "start(exited)",
           BuilderState::kStarting},
          {"engine down", [](auto&, auto& seen) { seen.engine_up = false; }, "", BuilderState::kDown},
      },
      {});
}

TEST(Reconcile, NeverTouchesAForeignContainer) {
  using enum ContainerState;
  const auto foreign = [](ContainerState state, bool adopt) {
    return [state, adopt](DesiredBuilder& want, ObservedBuilder& seen) {
      seen.real.state = state;
      seen.real.ours = false;
      seen.real.spec_digest.clear();
      seen.fronts.clear();
      want.adopt_foreign = adopt;
    };
  };
  expect_plans(
      {{"running", foreign(kRunning, false), "", BuilderState::kDown},
       {"exited", foreign(kExited, false), "", BuilderState::kDown},
       {"dead", foreign(kDead, false), "", BuilderState::kDown},
       {"adopted, running", foreign(kRunning, true), "create_front(front_gone)", BuilderState::kWarm},
       {"adopted, exited", foreign(kExited, true), "start(exited) create_front(front_gone)", BuilderState::kStarting},
       {"adopted, paused", foreign(kPaused, true), "unpause(paused) create_front(front_gone)", BuilderState::kStarting},
       {"adopted, dead: never removed", foreign(kDead, true), "", BuilderState::kDown}},
      {});
  auto want = desired();
  auto seen = healthy();
  foreign(kRunning, false)(want, seen);
  const auto plan = reconcile(want, seen, {}, kNow);
  EXPECT_EQ(plan.rule, "foreign");
  EXPECT_EQ(plan.reason, "a container buildwarden_s3 is there that is not ours, and on_foreign is refuse");
}

TEST(Reconcile, AppliesAChangeOnlyWhenIdle) {
  using enum ContainerState;
  const auto changed = [](ContainerState state, int builds) {
    return [state, builds](DesiredBuilder&, ObservedBuilder& seen) {
      seen.real.state = state;
      seen.real.spec_digest = "old";
      seen.running_builds = builds;
    };
  };
  const std::string recreate = "remove(spec_changed) create(spec_changed)";
  expect_plans({{"idle", changed(kRunning, 0), recreate.c_str(), BuilderState::kWarm},
                {"building", changed(kRunning, 1), "", BuilderState::kWarm},
                {"paused and building", changed(kPaused, 1), "unpause(paused)", BuilderState::kHealing},
                {"paused and idle", changed(kPaused, 0), recreate.c_str(), BuilderState::kHealing},
                {"exited: its builds are gone", changed(kExited, 1), recreate.c_str(), BuilderState::kHealing},
                {"restarting: its builds are gone", changed(kRestarting, 1), recreate.c_str(), BuilderState::kHealing},
                {"idle, new image missing",
                 [&](auto& want, auto& seen) {
                   changed(kRunning, 0)(want, seen);
                   seen.image_present = false;
                 },
                 "provide_image(image_missing) remove(spec_changed) create(spec_changed)", BuilderState::kWarm}},
               warm_before());
  auto want = desired();
  auto seen = healthy();
  changed(kRunning, 2)(want, seen);
  const auto plan = reconcile(want, seen, warm_before(), kNow);
  EXPECT_EQ(plan.reason,
            "buildwarden_s3 runs and answers; a changed image or configuration is applied to buildwarden_s3 once no "
            "build runs (2 connections)");
  EXPECT_EQ(plan.again, Duration{seconds{5}});
}

TEST(Reconcile, HealsFrontsOfAWarmBuilder) {
  using enum ContainerState;
  const auto front_is = [](ContainerState state, const std::string& digest, int builds) {
    return [state, digest, builds](DesiredBuilder&, ObservedBuilder& seen) {
      seen.fronts[kFront] = container(state, digest);
      seen.running_builds = builds;
    };
  };
  const auto foreign = [](auto&, auto& seen) { seen.fronts[kFront].ours = false; };
  const auto foreign_exited = [](auto&, auto& seen) {
    seen.fronts[kFront] = {.state = kExited, .id = "2", .ours = false, .spec_digest = "", .image_id = ""};
  };
  const std::string changed = "remove_front(front_changed) create_front(front_changed)";
  expect_plans(
      {{"gone", [](auto&, auto& seen) { seen.fronts.clear(); }, "create_front(front_gone)", BuilderState::kWarm},
       {"missing", front_is(kMissing, "", 0), "create_front(front_gone)", BuilderState::kWarm},
       {"exited", front_is(kExited, "front", 0), "start_front(front_exited)", BuilderState::kWarm},
       {"created", front_is(kCreated, "front", 0), "start_front(front_exited)", BuilderState::kWarm},
       {"paused", front_is(kPaused, "front", 1), "unpause_front(front_paused)", BuilderState::kWarm},
       {"dead", front_is(kDead, "front", 1), "remove_front(front_dead) create_front(front_dead)", BuilderState::kWarm},
       {"restarting", front_is(kRestarting, "front", 0), "", BuilderState::kWarm},
       {"changed", front_is(kRunning, "old", 0), changed.c_str(), BuilderState::kWarm},
       {"changed, with builds", front_is(kRunning, "old", 1), "", BuilderState::kWarm},
       {"changed and exited, with builds", front_is(kExited, "old", 1), changed.c_str(), BuilderState::kWarm},
       {"changed and paused, with builds", front_is(kPaused, "old", 1), "unpause_front(front_paused)",
        BuilderState::kWarm},
       {"a job's own builder", foreign, "", BuilderState::kWarm},
       {"a job's own builder, stopped", foreign_exited, "", BuilderState::kWarm},
       {"gone, image too",
        [](auto&, auto& seen) {
          seen.fronts.clear();
          seen.image_present = false;
        },
        "provide_image(image_missing) create_front(front_gone)", BuilderState::kWarm}},
      warm_before());
  auto seen = healthy();
  seen.fronts[kFront].ours = false;
  EXPECT_EQ(reconcile(desired(), seen, {}, kNow).reason,
            "buildwarden_s3 runs and answers; the container buildx_buildkit_s30 was made by somebody else and is left "
            "alone");
}

TEST(Reconcile, RemembersWhenItWasLost) {
  auto seen = healthy();
  auto memory = reconcile(desired(), seen, {}, kNow).memory;
  EXPECT_TRUE(memory.was_warm);
  EXPECT_FALSE(memory.lost_at);

  seen.real.state = ContainerState::kExited;
  memory = reconcile(desired(), seen, memory, kNow).memory;
  ASSERT_TRUE(memory.lost_at);
  EXPECT_EQ(*memory.lost_at, kNow.boot);
  const Now later{kNow.wall + seconds{9}, kNow.boot + seconds{9}};
  seen.engine_up = false;
  memory = reconcile(desired(), seen, memory, later).memory;
  EXPECT_EQ(memory.lost_at, kNow.boot);

  memory = reconcile(desired(), healthy(), memory, later).memory;
  EXPECT_TRUE(memory.was_warm);
  EXPECT_FALSE(memory.lost_at);
}

TEST(Reconcile, LooksAgainSoonOnlyWhileSomethingIsOn) {
  auto seen = healthy();
  EXPECT_EQ(reconcile(desired(), seen, {}, kNow).again, Duration{seconds{30}});
  seen.answers = false;
  EXPECT_EQ(reconcile(desired(), seen, {}, kNow).again, Duration{milliseconds{250}});
  seen.real.state = ContainerState::kExited;
  EXPECT_EQ(reconcile(desired(), seen, {}, kNow).again, Duration{milliseconds{250}});
}

TEST(Reconcile, HoldsBackAfterFailures) {
  auto memory = warm_before();
  memory.failures = 3;
  memory.not_before = kNow.boot + seconds{4};
  auto seen = healthy();
  seen.real.state = ContainerState::kExited;
  auto plan = reconcile(desired(), seen, memory, kNow);
  EXPECT_TRUE(plan.steps.empty());
  EXPECT_EQ(plan.state, BuilderState::kDown);
  EXPECT_EQ(plan.rule, "backing_off");
  EXPECT_EQ(plan.again, Duration{seconds{4}});
  EXPECT_EQ(plan.reason,
            "the container buildwarden_s3 has exited: it is started: after 3 failed attempts in a row the next is in "
            "4s");
  memory.not_before = kNow.boot;
  plan = reconcile(desired(), seen, memory, kNow);
  EXPECT_EQ(show(plan.steps), "start(exited)");
  EXPECT_EQ(plan.memory.failures, 3);
}

TEST(Reconcile, IsWarmThoughAFrontHasToWait) {
  auto memory = warm_before();
  memory.failures = 1;
  memory.not_before = kNow.boot + seconds{1};
  auto seen = healthy();
  seen.fronts.clear();
  const auto held = reconcile(desired(), seen, memory, kNow);
  EXPECT_TRUE(held.steps.empty());
  EXPECT_EQ(held.state, BuilderState::kWarm);
  EXPECT_EQ(held.again, Duration{seconds{1}});
  EXPECT_EQ(held.memory.failures, 1);
  // With nothing left to do the row of failures is over.
  const auto healed = reconcile(desired(), healthy(), memory, kNow);
  EXPECT_EQ(healed.memory.failures, 0);
  EXPECT_FALSE(healed.memory.not_before);
}

TEST(AfterSteps, BacksOffFromOneSecondDoublingToAMinute) {
  BuilderMemory memory;
  for (const int expected : {1, 2, 4, 8, 16, 32, 60, 60, 60}) {
    memory = after_steps(memory, true, kNow);
    ASSERT_TRUE(memory.not_before);
    EXPECT_EQ(*memory.not_before - kNow.boot, Duration{seconds{expected}});
  }
  EXPECT_EQ(memory.failures, 9);
  memory = after_steps(memory, false, kNow);
  EXPECT_EQ(memory.failures, 0);
  EXPECT_FALSE(memory.not_before);
}

TEST(AfterSteps, PacesHealingThatDoesNotLast) {
  BuilderMemory memory;
  for (int round = 1; round <= 8; ++round) {
    memory = after_steps(memory, false, kNow);
    EXPECT_FALSE(memory.not_before) << round;
  }
  memory = after_steps(memory, false, kNow);
  ASSERT_TRUE(memory.not_before);
  EXPECT_EQ(*memory.not_before - kNow.boot, Duration{seconds{15}});
  auto seen = healthy();
  seen.real.state = ContainerState::kExited;
  EXPECT_EQ(reconcile(desired(), seen, memory, kNow).reason,
            "the container buildwarden_s3 has exited: it is started: healed too often to last, so the next attempt is "
            "in 15s");
  const Now later{kNow.wall, kNow.boot + minutes{10}};
  EXPECT_FALSE(after_steps(memory, false, later).not_before);
}

TEST(Names, AreThoseOfTheContract) {
  EXPECT_EQ(to_string(BuilderState::kWarm), "warm");
  EXPECT_EQ(to_string(BuilderState::kStarting), "starting");
  EXPECT_EQ(to_string(BuilderState::kHealing), "healing");
  EXPECT_EQ(to_string(BuilderState::kDown), "down");
  EXPECT_EQ(to_string(BuilderState::kOff), "off");
  EXPECT_EQ(container_of("s3"), "buildwarden_s3");
  EXPECT_EQ(volume_of("s3", 1), "buildwarden_s3");
  EXPECT_EQ(volume_of("s3", 2), "buildwarden_s3_2");
}

// Issue 19: its volume is being filled from a seed. The image and the fronts may come meanwhile.
TEST(Reconcile, DoesNotCreateWhileTheVolumeIsFilled) {
  auto wanted = cases::desired();
  wanted.awaits = "builder s3 is being restored from a seed";
  auto seen = cases::healthy();
  seen.real = {};
  seen.answers = false;
  seen.image_present = false;
  seen.fronts.clear();
  const auto plan = reconcile(wanted, seen, {}, cases::after(std::chrono::hours{1}));
  EXPECT_EQ(cases::show(plan.steps), "provide_image(image_missing) create_front(front_gone)");
  EXPECT_EQ(plan.state, BuilderState::kStarting);
  EXPECT_EQ(plan.rule, "seed");
  EXPECT_EQ(plan.reason, wanted.awaits);
  wanted.awaits.clear();
  EXPECT_EQ(cases::show(reconcile(wanted, seen, {}, cases::after(std::chrono::hours{1})).steps),
            "provide_image(image_missing) create(missing) create_front(front_gone)");
}

}  // namespace
}  // namespace buildwarden::policy
