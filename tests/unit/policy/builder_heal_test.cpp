// Builders that are there and no good, people who ask, engines that are new.
#include <chrono>

#include "tests/unit/policy/builder_cases.h"

namespace buildwarden::policy {
namespace {

using namespace cases;  // NOLINT(google-build-using-namespace)
using std::chrono::seconds;

// Silent for `questions` of ten seconds each, the last `idle` of them without running.
void fall_silent(ObservedBuilder& seen, int questions, int idle) {
  seen.answered_before = true;
  seen.answers = questions < 3;
  seen.unresponsive = {
      .questions = questions, .lasts = seconds{10 * questions}, .idle_questions = idle, .idle = seconds{10 * idle}};
  seen.running_builds = 1;  // as it is when that cannot be asked
}

TEST(Reconcile, RestartsAFrozenOneThoughSomebodyBuildsOnIt) {
  const auto silent = [](int questions, int idle) {
    return [questions, idle](DesiredBuilder&, ObservedBuilder& seen) { fall_silent(seen, questions, idle); };
  };
  const std::string anew = "remove(spec_changed) create(spec_changed)";
  expect_plans({{"silent once", silent(1, 1), "", BuilderState::kWarm},
                {"silent twice", silent(2, 2), "", BuilderState::kWarm},
                {"silent and idle three times", silent(3, 3), "restart(frozen)", BuilderState::kHealing},
                {"a busy disk is not a hang", silent(9, 0), "", BuilderState::kHealing},
                {"for almost five minutes", silent(29, 0), "", BuilderState::kHealing},
                {"whatever it does, for five minutes", silent(30, 0), "restart(frozen)", BuilderState::kHealing},
                {"one that starts is given a quarter of an hour",
                 [](auto&, auto& seen) {
                   fall_silent(seen, 89, 0);
                   seen.answered_before = false;
                 },
                 "", BuilderState::kHealing},
                {"and no more",
                 [](auto&, auto& seen) {
                   fall_silent(seen, 90, 0);
                   seen.answered_before = false;
                 },
                 "restart(frozen)", BuilderState::kHealing},
                {"it ran until lately", silent(9, 2), "", BuilderState::kHealing},
                {"it ran until 30 s ago", silent(9, 3), "restart(frozen)", BuilderState::kHealing},
                {"three short questions are no half minute",
                 [](auto&, auto& seen) {
                   fall_silent(seen, 3, 3);
                   seen.unresponsive.idle = seconds{29};
                 },
                 "", BuilderState::kHealing},
                {"it never answered: it may be starting",
                 [](auto&, auto& seen) {
                   fall_silent(seen, 11, 11);
                   seen.answered_before = false;
                 },
                 "", BuilderState::kHealing},
                {"it never answered in two minutes",
                 [](auto&, auto& seen) {
                   fall_silent(seen, 12, 12);
                   seen.answered_before = false;
                 },
                 "restart(frozen)", BuilderState::kHealing},
                {"its paused container does not run",
                 [](auto&, auto& seen) {
                   fall_silent(seen, 3, 3);
                   seen.real.state = ContainerState::kPaused;
                 },
                 "unpause(paused)", BuilderState::kHealing},
                {"changed as well: made anew at once",
                 [](auto&, auto& seen) {
                   fall_silent(seen, 3, 3);
                   seen.real.spec_digest = "old";
                 },
                 anew.c_str(), BuilderState::kHealing}},
               warm_before());
  auto seen = healthy();
  fall_silent(seen, 3, 3);
  EXPECT_EQ(reconcile(desired(), seen, warm_before(), kNow).reason,
            "the container buildwarden_s3 has not answered 3 questions in 30s and did next to nothing in that time: it "
            "counts as dead and is restarted");
  fall_silent(seen, 2, 2);
  EXPECT_EQ(reconcile(desired(), seen, warm_before(), kNow).reason, "buildwarden_s3 runs; it has not answered for 20s");
  fall_silent(seen, 4, 0);
  EXPECT_EQ(reconcile(desired(), seen, warm_before(), kNow).reason,
            "buildwarden_s3 runs, but has not answered for 40s");
}

// A buildkitd that nobody uses takes 3-4 ms in 10 s.
TEST(DoesNextToNothing, ByItsShareOfACpu) {
  Work work;
  work.time = seconds{10};
  work.cpu = std::chrono::milliseconds{4};
  EXPECT_TRUE(does_next_to_nothing(work));
  work.waits_for_disk = true;
  EXPECT_FALSE(does_next_to_nothing(work)) << "the disk is busy, or gone; it is not to blame";
  work.waits_for_disk = false;
  work.cpu = std::chrono::milliseconds{101};
  EXPECT_FALSE(does_next_to_nothing(work));
  work.stopped = true;
  EXPECT_TRUE(does_next_to_nothing(work)) << "it was stopped meanwhile";
}

TEST(Reconcile, MovesToTheHostsSocketFolderOnceItIsIdle) {
  const auto moved = [](int builds) {
    return [builds](DesiredBuilder&, ObservedBuilder& seen) {
      seen.real.other_folder = true;
      seen.running_builds = builds;
    };
  };
  expect_plans({{"idle", moved(0), "remove(folder_changed) create(folder_changed)", BuilderState::kHealing},
                {"building", moved(1), "", BuilderState::kHealing},
                {"a front, idle", [](auto&, auto& seen) { seen.fronts[kFront].other_folder = true; },
                 "remove_front(front_folder) create_front(front_folder)", BuilderState::kWarm},
                {"a front, building",
                 [](auto&, auto& seen) {
                   seen.fronts[kFront].other_folder = true;
                   seen.running_builds = 1;
                 },
                 "", BuilderState::kWarm}},
               warm_before());
}

TEST(Reconcile, IsMadeAnewWhenSomebodyAsks) {
  const auto asked = [](Recreation how, int builds) {
    return [how, builds](DesiredBuilder& want, ObservedBuilder& seen) {
      want.recreate = how;
      seen.running_builds = builds;
    };
  };
  const std::string anew = "remove(asked) create(asked)";
  expect_plans({{"idle", asked(Recreation::kIdle, 0), anew.c_str(), BuilderState::kWarm},
                {"building", asked(Recreation::kIdle, 2), "", BuilderState::kWarm},
                {"building, forced", asked(Recreation::kForced, 2), anew.c_str(), BuilderState::kWarm}},
               warm_before());
  auto want = desired();
  auto seen = healthy();
  want.recreate = Recreation::kIdle;
  seen.running_builds = 2;
  EXPECT_EQ(reconcile(want, seen, warm_before(), kNow).not_recreated,
            "the recreation that was asked for is applied to buildwarden_s3 once no build runs (2 connections)");
  seen.real.ours = false;
  want.adopt_foreign = true;
  want.recreate = Recreation::kForced;
  EXPECT_TRUE(reconcile(want, seen, warm_before(), kNow).steps.empty()) << "never what is not ours";
}

TEST(Reconcile, AnAdoptedOneMustBeReachable) {
  auto want = desired();
  want.adopt_foreign = true;
  auto seen = healthy();
  seen.real.ours = false;
  fall_silent(seen, 9, 9);
  const auto plan = reconcile(want, seen, {}, kNow);
  EXPECT_TRUE(plan.steps.empty()) << "what is not ours is not restarted either";
  EXPECT_EQ(plan.state, BuilderState::kDown);
  EXPECT_EQ(plan.rule, "foreign");
  EXPECT_NE(plan.reason.find("nobody has answered at the builder's socket"), std::string::npos) << plan.reason;
}

TEST(Reconcile, LetsANewEngineSettle) {
  auto seen = healthy();
  seen.real = {};
  seen.answers = false;
  seen.engine = "one";
  auto plan = reconcile(desired(), seen, {}, kNow);
  EXPECT_TRUE(plan.steps.empty());
  EXPECT_EQ(plan.state, BuilderState::kStarting);
  EXPECT_EQ(plan.rule, "engine_new");
  EXPECT_EQ(plan.again, Duration{seconds{2}});
  const auto at = [](seconds later) { return Now{kNow.wall + later, kNow.boot + later}; };
  EXPECT_FALSE(reconcile(desired(), seen, plan.memory, at(seconds{2})).steps.empty());
  // Its end and its coming back are no news; another one is.
  seen.engine_up = false;
  plan = reconcile(desired(), seen, plan.memory, at(seconds{9}));
  seen.engine_up = true;
  EXPECT_FALSE(reconcile(desired(), seen, plan.memory, at(seconds{10})).steps.empty());
  seen.engine = "two";
  EXPECT_TRUE(reconcile(desired(), seen, plan.memory, at(seconds{10})).steps.empty());
  // What is warm already is so at once.
  auto warm = healthy();
  warm.engine = "three";
  EXPECT_EQ(reconcile(desired(), warm, plan.memory, at(seconds{10})).state, BuilderState::kWarm);
}

}  // namespace
}  // namespace buildwarden::policy
