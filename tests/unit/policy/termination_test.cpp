#include "daemon/policy/termination.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>

#include "tests/unit/policy/termination_cases.h"

namespace buildwarden::policy {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using enum TerminationState;
using Outcome = TerminationOutcome;

class TerminationTest : public TerminationTimeline {};

TEST_F(TerminationTest, WaitsAtRandomThenDrainsTellsAndTerminatesWithTheDecrement) {
  run(seconds{29});
  EXPECT_EQ(plan.state, kWaiting);
  EXPECT_EQ(*plan.due - now.boot, seconds{1});
  EXPECT_THAT(deeds(), IsEmpty()) << "half of 60 s by chance";
  run(seconds{1});
  EXPECT_THAT(deeds(), ElementsAre("sigterm", "tell"));
  run(seconds{9});
  EXPECT_EQ(plan.state, kReporting);
  run(seconds{2});
  EXPECT_THAT(deeds(), ElementsAre("sigterm", "tell", "terminate smaller", "finish"));
  EXPECT_EQ(plan.state, kDone);
  run(hours{5});
  EXPECT_EQ(done.size(), 7U) << "identify, and describe before the agent and before the call";
}

TEST_F(TerminationTest, WithoutPermissionNothingIsEvenAsked) {
  facts.wanted = false;
  run(hours{1});
  EXPECT_THAT(done, IsEmpty());
  EXPECT_EQ(plan.state, kNone);
  EXPECT_EQ(plan.rule, "not_wanted");
}

TEST_F(TerminationTest, AMistakeOfTheMarksEndsNoInstance) {
  facts.gates[0].mistake = "disk.min_free (1TiB) asks for more than the 10.00 GiB that it holds";
  run(hours{24});
  EXPECT_THAT(done, IsEmpty());
  EXPECT_EQ(plan.state, kHeld);
  EXPECT_EQ(plan.rule, "marks_beyond_size");
  EXPECT_THAT(plan.reason, HasSubstr("disk.min_free (1TiB) asks for more"));
}

TEST_F(TerminationTest, ADiskThatNeverHadEnoughIsTooSmall) {
  facts.gates[0].was_ok = false;
  run(hours{24});
  EXPECT_THAT(done, IsEmpty());
  EXPECT_EQ(plan.state, kHeld);
  EXPECT_EQ(plan.rule, "disk_too_small");
}

TEST_F(TerminationTest, GuardsHoldItAndSayUntilWhen) {
  facts.min_uptime = hours{3};
  run(minutes{59});
  EXPECT_EQ(plan.rule, "min_uptime");
  EXPECT_EQ(*plan.due - now.boot, minutes{1});
  facts.min_uptime = Duration{0};
  facts.engine_away = seconds{20};
  run(seconds{1});
  EXPECT_EQ(plan.rule, "engine_away");
  facts.engine_away.reset();
  facts.gates[0].level = Level::kUnknown;
  run(hours{1});
  EXPECT_EQ(plan.rule, "unknown");
  facts.gates.clear();
  run(seconds{1});
  EXPECT_EQ(plan.state, kNone) << "nothing that gates jobs asks for it";
  EXPECT_THAT(done, IsEmpty());
}

TEST_F(TerminationTest, ADryRunSaysItAndDoesNothing) {
  facts.dry_run = true;
  run(hours{1});
  EXPECT_THAT(done, IsEmpty());
  EXPECT_EQ(plan.rule, "dry_run");
  EXPECT_THAT(plan.reason, HasSubstr("would drain and terminate"));
}

TEST_F(TerminationTest, WithoutMetadataCliOrGroupTheAgentStays) {
  script["identify"] = {Outcome::kUnreachable};
  run(minutes{10});
  EXPECT_EQ(plan.rule, "no_metadata");
  EXPECT_LT(count("identify"), 20) << "asked ever more slowly";
  script["identify"] = {};
  script["describe"] = {Outcome::kMissing};
  run(hours{1});
  EXPECT_EQ(plan.rule, "no_cli");
  EXPECT_LT(count("describe"), 13);
  script["describe"] = {};
  group = GroupState::kAbsent;
  run(minutes{10});
  EXPECT_EQ(plan.rule, "not_in_group");
  EXPECT_THAT(deeds(), IsEmpty());
  group = GroupState::kInService;
  run(minutes{10});
  EXPECT_EQ(plan.state, kDone);
}

TEST_F(TerminationTest, WaitsForJobsForEverAndTakesUnknownForRunning) {
  agent_obeys = false;
  facts.jobs = 2;
  run(hours{24});
  EXPECT_THAT(deeds(), ElementsAre("sigterm"));
  EXPECT_EQ(plan.state, kDraining);
  EXPECT_THAT(plan.reason, HasSubstr("2 jobs run"));
  facts.jobs.reset();
  facts.agent.pid = 0;
  run(hours{1});
  EXPECT_THAT(deeds(), ElementsAre("sigterm"));
  facts.jobs = 0;
  run(minutes{1});
  EXPECT_THAT(deeds(), ElementsAre("sigterm", "tell", "terminate smaller", "finish"));
}

TEST_F(TerminationTest, AfterTheDrainTimeoutJobsAreCancelledOnceAndReport) {
  agent_obeys = false;
  facts.jobs = 1;
  facts.drain_timeout = minutes{5};
  run(minutes{5});
  EXPECT_THAT(deeds(), ElementsAre("sigterm"));
  run(minutes{1});
  EXPECT_THAT(deeds(), ElementsAre("sigterm", "sigquit", "tell", "terminate smaller", "finish"));
}

TEST_F(TerminationTest, AnAgentThatItsUnitRestartsAfterTheQuitIsToldToStopAsWell) {
  agent_obeys = false;
  facts.jobs = 1;
  facts.drain_timeout = minutes{5};
  script["terminate smaller"] = {Outcome::kMinimumSize};
  script["terminate replace"] = {Outcome::kThrottled};
  run(minutes{6});
  ASSERT_EQ(plan.rule, "throttled");
  facts.agent = {true, "", 5000, 700};
  run(minutes{2});
  EXPECT_EQ(count("sigterm"), 2);
  EXPECT_EQ(count("sigquit"), 1);
  EXPECT_EQ(count("terminate smaller"), 1) << "where it was is not forgotten";
  script["terminate replace"] = {Outcome::kDone};
  run(minutes{2});
  EXPECT_EQ(plan.state, kDone);
}

TEST_F(TerminationTest, AnAgentThatLingersWithoutJobsIsCancelled) {
  agent_obeys = false;
  run(seconds{89});
  EXPECT_THAT(deeds(), ElementsAre("sigterm"));
  run(minutes{1});
  EXPECT_THAT(deeds(), ElementsAre("sigterm", "sigquit", "tell", "terminate smaller", "finish"));
}

TEST_F(TerminationTest, AnAgentThatCannotBeSeenIsNeverSignalled) {
  facts.agent = {false, "systemd is silent", 0, 0};
  run(hours{1});
  EXPECT_EQ(plan.rule, "agent_unknown");
  EXPECT_THAT(deeds(), IsEmpty());
}

TEST_F(TerminationTest, ASignalThatWasRefusedIsSentAgainLater) {
  agent_obeys = false;
  script["sigterm"] = {Outcome::kRefused, Outcome::kDone};
  run(minutes{1});
  EXPECT_EQ(count("sigterm"), 1);
  EXPECT_EQ(plan.rule, "agent_untold");
  run(minutes{20});
  EXPECT_EQ(count("sigterm"), 2);
  EXPECT_EQ(memory.intent->steps.front().outcome, Outcome::kDone);
}

// The disk.
TEST_F(TerminationTest, RecoveryBeforeTheAgentWasToldIsTheEndOfIt) {
  run(seconds{20});
  facts.gates[0].level = Level::kLow;
  run(hours{1});
  EXPECT_EQ(plan.state, kNone);
  EXPECT_THAT(deeds(), IsEmpty());
}

TEST_F(TerminationTest, RecoveryBeforeTheFirstCallWithdrawsAndStartsTheAgentAgain) {
  agent_obeys = false;
  facts.jobs = 1;
  run(minutes{10});
  facts.gates[0].level = Level::kOk;
  run(minutes{10});
  EXPECT_EQ(plan.state, kWithdrawing);
  EXPECT_FALSE(refuses_jobs(plan.state));
  EXPECT_THAT(deeds(), ElementsAre("sigterm", "withdraw")) << "its jobs end first";
  facts.agent.pid = 0;
  run(seconds{5});
  EXPECT_THAT(deeds(), ElementsAre("sigterm", "withdraw", "start", "forget"));
  EXPECT_FALSE(memory.intent);
}

TEST_F(TerminationTest, RecoveryWhileTheLogIsShippedStillWithdraws) {
  run(seconds{31});
  EXPECT_EQ(plan.state, kReporting);
  facts.gates[0].level = Level::kLow;
  run(hours{1});
  EXPECT_THAT(deeds(), ElementsAre("sigterm", "tell", "withdraw", "start", "forget"));
}

// BuildkiteTerminateInstanceAfterJob: an agent started again would run a second job.
TEST_F(TerminationTest, AnAgentForOneJobIsNotStartedAgainAfterIt) {
  facts.goes_after_job = true;
  facts.drain_timeout = minutes{10};
  facts.jobs = 1;
  agent_obeys = false;
  run(minutes{1});
  facts.gates[0].level = Level::kOk;
  run(hours{3});
  EXPECT_EQ(plan.state, kDraining);
  EXPECT_EQ(plan.rule, "after_job");
  EXPECT_THAT(deeds(), ElementsAre("sigterm")) << "and its job is not cancelled for a disk that has enough";
  restart();
  run(seconds{5});
  facts.jobs = 0;
  facts.agent.pid = 0;
  run(minutes{1});
  EXPECT_EQ(plan.state, kDone);
  EXPECT_THAT(deeds(), ElementsAre("sigterm", "tell", "terminate smaller", "finish"));
}

TEST_F(TerminationTest, AnAgentForOneJobThatHadNoneIsStartedAgain) {
  facts.goes_after_job = true;
  agent_obeys = false;
  run(minutes{1});
  facts.gates[0].level = Level::kOk;
  facts.agent.pid = 0;
  run(seconds{5});
  EXPECT_THAT(deeds(), ElementsAre("sigterm", "withdraw", "start", "forget"));
}

TEST_F(TerminationTest, WhichJobsRanWasNotKnownSoOneMayHave) {
  facts.goes_after_job = true;
  facts.jobs.reset();
  run(minutes{1});
  facts.gates[0].level = Level::kOk;
  run(seconds{5});
  EXPECT_EQ(plan.rule, "after_job");
  facts.wanted = false;
  run(seconds{5});
  EXPECT_THAT(deeds(), ElementsAre("sigterm", "withdraw", "start", "forget"))
      << "without permission it is never ours to terminate";
}

TEST_F(TerminationTest, RecoveryAfterTheFirstCallChangesNothing) {
  script["terminate smaller"] = {Outcome::kThrottled, Outcome::kDone};
  run(seconds{41});
  EXPECT_EQ(count("terminate smaller"), 1);
  facts.gates[0].level = Level::kOk;
  run(minutes{2});
  EXPECT_EQ(plan.state, kDone);
  EXPECT_EQ(count("start"), 0);
}

TEST_F(TerminationTest, AnUnknownLevelHoldsEachStep) {
  agent_obeys = false;
  facts.jobs = 1;
  run(minutes{1});
  facts.gates[0].level = Level::kUnknown;
  facts.jobs = 0;
  facts.agent.pid = 0;
  run(hours{1});
  EXPECT_THAT(deeds(), ElementsAre("sigterm"));
  EXPECT_EQ(plan.rule, "unknown");
}

TEST_F(TerminationTest, PermissionThatIsTakenBackWithdrawsAsLongAsNothingIsAccepted) {
  script["terminate smaller"] = {Outcome::kThrottled};
  run(minutes{5});
  facts.wanted = false;
  run(minutes{5});
  EXPECT_EQ(done.back(), "forget");
  EXPECT_EQ(count("start"), 1);
}

TEST_F(TerminationTest, ADryRunThatComesOnHoldsWhatWasBegun) {
  agent_obeys = false;
  facts.jobs = 1;
  run(minutes{1});
  facts.dry_run = true;
  facts.agent.pid = 0;
  facts.jobs = 0;
  run(hours{1});
  EXPECT_THAT(deeds(), ElementsAre("sigterm"));
}

// The Auto Scaling group.
TEST_F(TerminationTest, ThrottlingIsMetWithPatienceAndWithoutEnd) {
  script["terminate smaller"] = std::vector<Outcome>(10, Outcome::kThrottled);
  run(minutes{30});
  EXPECT_GE(count("terminate smaller"), 20);
  EXPECT_LE(count("terminate smaller"), 45) << "at most a minute apart, by chance";
  EXPECT_EQ(plan.state, kTerminating);
  EXPECT_EQ(plan.rule, "throttled");
  EXPECT_EQ(memory.intent->steps.size(), 3U) << "sigterm, tell and one call of many tries";
  script["terminate smaller"] = {Outcome::kDone};
  run(minutes{2});
  EXPECT_EQ(plan.state, kDone);
  EXPECT_EQ(count("terminate replace") + count("unhealthy"), 0);
}

TEST_F(TerminationTest, OnlyTheMinimumSizeLeadsToAReplacement) {
  script["terminate smaller"] = {Outcome::kMinimumSize};
  run(minutes{1});
  EXPECT_THAT(deeds(), ElementsAre("sigterm", "tell", "terminate smaller", "terminate replace", "finish"));
}

TEST_F(TerminationTest, WithoutDecrementThatIsHowItBegins) {
  facts.decrement = false;
  run(minutes{1});
  EXPECT_THAT(deeds(), ElementsAre("sigterm", "tell", "terminate replace", "finish"));
}

TEST_F(TerminationTest, WhereTerminatingIsRefusedTheHealthIsSet) {
  script["terminate smaller"] = {Outcome::kDenied};
  run(minutes{1});
  EXPECT_THAT(deeds(), ElementsAre("sigterm", "tell", "terminate smaller", "unhealthy", "finish"));
}

TEST_F(TerminationTest, WhatIsDeniedAltogetherIsFailedAndTriedSlowly) {
  script["terminate smaller"] = {Outcome::kDenied};
  script["unhealthy"] = {Outcome::kDenied};
  run(hours{1});
  EXPECT_EQ(plan.state, kFailed);
  EXPECT_EQ(plan.rule, "denied");
  EXPECT_LE(count("unhealthy"), 25);
  EXPECT_GE(count("unhealthy"), 7);
  EXPECT_LE(memory.intent->steps.size(), 4U);
  EXPECT_TRUE(refuses_jobs(plan.state));
}

TEST_F(TerminationTest, ExpiredCredentialsAreSaidAndTriedAgain) {
  script["terminate smaller"] = {Outcome::kCredentials};
  run(minutes{10});
  EXPECT_EQ(plan.state, kFailed);
  EXPECT_EQ(plan.rule, "credentials");
  EXPECT_EQ(count("unhealthy") + count("terminate replace"), 0);
  script["terminate smaller"] = {Outcome::kDone};
  run(minutes{3});
  EXPECT_EQ(plan.state, kDone);
}

TEST_F(TerminationTest, AfterAnUnclearEndTheGroupIsAskedBeforeAnotherCall) {
  script["terminate smaller"] = {Outcome::kUnreachable};
  run(seconds{41});
  ASSERT_EQ(count("terminate smaller"), 1);
  group = GroupState::kLeaving;
  run(hours{1});
  EXPECT_EQ(count("terminate smaller"), 1) << "it had happened all the same";
  EXPECT_EQ(plan.state, kDone);
}

TEST_F(TerminationTest, AnInstanceThatLeavesAlreadyIsLeftToThat) {
  group = GroupState::kLeaving;
  run(hours{1});
  EXPECT_THAT(deeds(), IsEmpty());
  EXPECT_EQ(plan.state, kDone);
}

TEST_F(TerminationTest, StandbyIsWaitedFor) {
  agent_obeys = false;
  facts.jobs = 1;
  run(minutes{1});
  group = GroupState::kOther;
  facts.agent.pid = 0;
  facts.jobs = 0;
  run(minutes{10});
  EXPECT_EQ(plan.rule, "lifecycle");
  EXPECT_EQ(count("terminate smaller"), 0);
}

TEST(TerminationWords, NamesComeBack) {
  for (int i = 0; i <= static_cast<int>(TerminationAction::kFinish); ++i) {
    const auto action = static_cast<TerminationAction>(i);
    EXPECT_EQ(action_named(to_string(action)), action);
  }
  for (int i = 0; i <= static_cast<int>(Outcome::kMissing); ++i) {
    EXPECT_EQ(outcome_named(to_string(static_cast<Outcome>(i))), static_cast<Outcome>(i));
  }
  EXPECT_FALSE(action_named("explode"));
}

}  // namespace
}  // namespace buildwarden::policy
