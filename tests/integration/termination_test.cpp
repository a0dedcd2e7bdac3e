// Drain and terminate, with the real AWS CLI, a stand-in for the instance's metadata and its Auto Scaling group, and an
// agent that counts its signals.
#include <gmock/gmock.h>

#include <chrono>

#include "tests/support/termination_fixture.h"

namespace buildwarden::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kTerminate = "TerminateInstanceInAutoScalingGroup";
constexpr auto kPatience = 3 * kTestPatience;

class TerminationTest : public TerminationFixture {};

// H7, H8, H9, H21: throttled ten times, then the group may not become smaller, then it is replaced.
TEST_F(TerminationTest, ThrottledTenTimesAndAtTheMinimumSizeItIsReplacedOnce) {
  group_.fail_next(10, "Throttling");
  group_.set_sizes(1, 1);
  start_agent();
  give_job();
  start();
  EXPECT_EQ(state(), "none");
  fill();
  ASSERT_TRUE(becomes("draining"));
  ASSERT_TRUE(eventually([this] { return signals("TERM") == 1; }, kPatience));
  EXPECT_TRUE(agent_runs()) << "its job runs to its end";
  const auto refused = ask_for_job().out;
  EXPECT_THAT(refused, HasSubstr("about to be terminated"));
  EXPECT_THAT(query("/readyz", ".detail"), HasSubstr("instance"));
  EXPECT_THAT(run_shell("curl -s --unix-socket " + dir() + "/run/api.sock http://localhost/metrics").out,
              HasSubstr("\nbuildwarden_instance_termination_state 3\n"));
  EXPECT_EQ(group_.count(kTerminate), 0);
  end_job();
  ASSERT_TRUE(becomes("done"));
  EXPECT_EQ(group_.count(kTerminate), 12) << "ten throttled, one at the minimum size, one accepted";
  EXPECT_EQ(group_.accepted(), 1);
  EXPECT_EQ(group_.decrements(), 0);
  EXPECT_EQ(group_.health(), "HEALTHY");
  EXPECT_EQ(signals("TERM"), 1);
  EXPECT_EQ(signals("QUIT"), 0);
  EXPECT_THAT(read_text(dir() + "/stack.log"), HasSubstr("i-0123456789abcdef0) is being terminated"));
  EXPECT_THAT(reasons("instance.step"), HasSubstr("minimum_size"));
  EXPECT_EQ(stop(), 0);
}

// Expired credentials, then an endpoint that is down for a while, then one decrement.
TEST_F(TerminationTest, ExpiredCredentialsAndADeadEndpointAreOutlasted) {
  group_.fail_next(100, "ExpiredToken");
  start_agent();
  start();
  fill();
  ASSERT_TRUE(becomes("failed"));
  EXPECT_EQ(rule(), "credentials");
  group_.stop();
  ASSERT_TRUE(becomes_rule("unreachable"));
  EXPECT_FALSE(agent_runs());
  group_.forgive();
  group_.start();
  ASSERT_TRUE(becomes("done"));
  EXPECT_EQ(group_.accepted(), 1);
  EXPECT_EQ(group_.decrements(), 1);
  EXPECT_EQ(signals("TERM"), 1);
}

// What cannot be finished is not begun: the agent stays.
TEST_F(TerminationTest, WithoutMetadataOrTheCliTheAgentIsNotTold) {
  metadata_.stop();
  start_agent();
  start({.aws_cli = "/nonexistent/aws"});
  fill();
  ASSERT_TRUE(becomes_rule("no_metadata"));
  EXPECT_EQ(state(), "held");
  metadata_.start();
  ASSERT_TRUE(becomes_rule("no_cli"));
  EXPECT_EQ(state(), "held");
  EXPECT_EQ(signals("TERM") + signals("QUIT"), 0);
  EXPECT_EQ(intent(), "");
}

// H1, H6, H10: no permission; a dry run; a disk that was never well.
TEST_F(TerminationTest, WithoutPermissionInADryRunAndOnATooSmallDiskNothingIsTouched) {
  start_agent();
  start({.terminate = false});
  fill();
  ASSERT_TRUE(eventually([this] { return query("/v1/disk", ".filesystems[0].level") == "critical"; }, kPatience));
  ASSERT_TRUE(eventually([this] { return !reasons("reclaim.short").empty(); }, kPatience));
  EXPECT_THAT(ask_for_job().out, HasSubstr("after all that is allowed was done"));
  EXPECT_EQ(state(), "none");
  EXPECT_EQ(rule(), "not_wanted");
  kill();
  start({.dry_run = true});
  ASSERT_TRUE(eventually([this] { return !reasons("instance.would").empty(); }, kPatience));
  EXPECT_EQ(state(), "held");
  kill();
  run_shell("rm " + dir() + "/run/disks-once-ok");
  start();
  ASSERT_TRUE(becomes_rule("disk_too_small"));
  EXPECT_EQ(metadata_.requests(), 0);
  EXPECT_EQ(group_.count("DescribeAutoScalingInstances") + group_.count(kTerminate) + group_.count("SetInstanceHealth"),
            0);
  EXPECT_EQ(signals("TERM") + signals("QUIT"), 0);
  EXPECT_THAT(read_text(dir() + "/agent/systemctl"), Not(HasSubstr("kill")));
}

TEST_F(TerminationTest, ADiskThatRecoversWithdrawsItAndTheAgentRunsAgain) {
  start_agent();
  give_job();
  start();
  fill();
  ASSERT_TRUE(eventually([this] { return signals("TERM") == 1; }, kPatience));
  make_room();
  ASSERT_TRUE(becomes("withdrawing"));
  EXPECT_NE(intent(), "") << "its unit must not terminate the instance meanwhile";
  end_job();
  ASSERT_TRUE(becomes("none"));
  EXPECT_TRUE(agent_runs());
  EXPECT_EQ(starts(), 2);
  EXPECT_EQ(group_.count(kTerminate) + group_.count("SetInstanceHealth"), 0);
  EXPECT_EQ(intent(), "");
}

// Killed in each step: with the agent told, while the log is shipped, with the call under way, and when it is done.
TEST_F(TerminationTest, KilledInEachStepItSignalsOnceAndCallsOnce) {
  start_agent();
  give_job();
  start();
  fill();
  // It waits for 300 ms, which a busy machine may not show.
  const auto begins = [this] {
    const auto seen = state();
    return seen == "waiting" || seen == "draining";
  };
  ASSERT_TRUE(eventually(begins, kPatience));
  kill();
  start();
  ASSERT_TRUE(intent_has("\"step\":\"sigterm\""));
  kill();
  start();
  ASSERT_TRUE(becomes("draining"));
  kill();
  end_job();
  start();
  ASSERT_TRUE(intent_has("\"step\":\"tell\""));
  kill();
  group_.hold_answers(true);
  start();
  ASSERT_TRUE(eventually([this] { return group_.count(kTerminate) == 1; }, kPatience));
  kill();
  EXPECT_THAT(intent(), HasSubstr("\"outcome\":\"open\""));
  group_.hold_answers(false);
  start();
  ASSERT_TRUE(becomes("done"));
  kill();
  start();
  ASSERT_TRUE(becomes("done"));
  EXPECT_EQ(group_.accepted(), 1);
  EXPECT_EQ(group_.decrements(), 1);
  EXPECT_EQ(group_.count(kTerminate), 1);
  EXPECT_LE(signals("TERM"), 1) << "a kill between record and signal leaves it unsent";
  EXPECT_LE(signals("QUIT"), 1);
}

// The stack's unit and hooks call it whenever the agent has stopped.
TEST_F(TerminationTest, TheWrapperLeavesTheDecrementToOneOwner) {
  const auto script = dir() + "/bin/terminate-instance";
  const auto made = run_shell("set -e; cp " BUILDWARDEN_SOURCE_DIR "/packaging/buildkite/terminate-instance " + script +
                              "; printf '#!/bin/bash\\necho original \"$@\"; exit 7\\n' > " + script +
                              ".buildwarden-saved; chmod +x " + script + ".buildwarden-saved");
  ASSERT_EQ(made.exit_code, 0) << made.out;
  CommandOptions options;
  options.env = {{"PATH", dir() + "/bin:/usr/bin:/bin"}, {"BUILDWARDEN_RUN", dir() + "/run"}};
  const auto call = [&] { return run_shell(script + " --now", options); };
  EXPECT_EQ(call().exit_code, 7);
  EXPECT_THAT(call().out, HasSubstr("original --now"));
  run_shell("touch " + dir() + "/run/termination");
  EXPECT_EQ(call().exit_code, 0);
  EXPECT_THAT(call().out, Not(HasSubstr("original")));
  run_shell("echo failed > " + dir() + "/agent/daemon-state");
  EXPECT_EQ(call().exit_code, 7) << "a daemon that ended for good carries out no intent";
  run_shell("echo activating > " + dir() + "/agent/daemon-state; (sleep 1; echo active > " + dir() +
            "/agent/daemon-state) > /dev/null 2>&1 &");
  EXPECT_EQ(call().exit_code, 0) << "one that is started again does";
  options.env["BUILDWARDEN_RESTART_PATIENCE"] = "1";
  run_shell("echo activating > " + dir() + "/agent/daemon-state");
  EXPECT_EQ(call().exit_code, 7) << "one that never comes back does not";
  run_shell("echo active > " + dir() + "/agent/daemon-state");
  start_agent();
  EXPECT_EQ(call().exit_code, 1);
  run_shell("rm " + dir() + "/run/termination");
  EXPECT_EQ(call().exit_code, 1);
  EXPECT_THAT(call().out, HasSubstr("still runs (process "));
  options.env["BUILDKITE_TERMINATE_INSTANCE_ON_DISK_FULL"] = "true";
  options.env["BUILDKITE_JOB_ID"] = "job-7";
  EXPECT_EQ(call().exit_code, 0) << "the hook of a full disk ends with its own 1 then";
  EXPECT_THAT(call().out, Not(HasSubstr("original")));
  run_shell("echo failed > " + dir() + "/agent/daemon-state");
  EXPECT_EQ(call().exit_code, 7) << "nobody else would end the instance";
  options.env.erase("BUILDKITE_TERMINATE_INSTANCE_ON_DISK_FULL");
  options.env.erase("BUILDKITE_JOB_ID");
  run_shell("echo active > " + dir() + "/agent/daemon-state");
  run_shell("printf '#!/bin/bash\\nexit 1\\n' > " + dir() + "/bin/systemctl");
  EXPECT_EQ(call().exit_code, 1) << "not known is not gone";
  options.env["SERVICE_RESULT"] = "success";
  EXPECT_EQ(call().exit_code, 7) << "but in ExecStopPost, where systemd sets this, the agent has stopped";
}

}  // namespace
}  // namespace buildwarden::testing
