// The daemon ends in the middle of a step, and another one goes on.
#include <gmock/gmock.h>

#include <chrono>

#include "tests/unit/policy/termination_cases.h"

namespace buildwarden::policy {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using enum TerminationState;

class TerminationRestartTest : public TerminationTimeline {};

TEST_F(TerminationRestartTest, ARestartBeginsWithTheGroupAndRepeatsNothing) {
  for (const std::string step : {"sigterm", "tell", "terminate smaller"}) {
    done.clear();
    facts.agent = {true, "", 4711, 99};
    facts.jobs = 0;
    facts.instance.clear();
    memory = {};
    memory.wanted_by = "8:1";
    group = GroupState::kInService;
    killed_in = step;
    while (done.empty() || done.back() != step) {
      if (turn().empty()) pass(seconds{1});
    }
    if (step == "sigterm") facts.agent.pid = 0;  // it got there
    if (step == "terminate smaller") group = GroupState::kLeaving;
    restart();
    const auto before = done.size();
    run(minutes{5});
    EXPECT_EQ(done.at(before), "identify") << step;
    EXPECT_EQ(done.at(before + 1), "describe") << step;
    EXPECT_EQ(plan.state, kDone) << step;
    EXPECT_EQ(count("sigterm"), 1) << step;
    EXPECT_EQ(count("terminate smaller"), 1) << step;
  }
}

TEST_F(TerminationRestartTest, ACallThatMayBeUnderWayIsWaitedFor) {
  killed_in = "terminate smaller";
  while (done.empty() || done.back() != killed_in) {
    if (turn().empty()) pass(seconds{1});
  }
  restart();
  run(seconds{39});
  EXPECT_EQ(count("terminate smaller"), 1);
  EXPECT_EQ(plan.rule, "in_flight");
  run(seconds{5});
  EXPECT_EQ(count("terminate smaller"), 2) << "it never got there: the group still has it in service";
  EXPECT_EQ(plan.state, kDone);
}

TEST_F(TerminationRestartTest, ASignalThatMayHaveBeenSentIsNotSentAgain) {
  agent_obeys = false;
  facts.jobs = 1;
  killed_in = "sigterm";
  while (done.empty() || done.back() != killed_in) {
    if (turn().empty()) pass(seconds{1});
  }
  restart();
  run(hours{2});
  EXPECT_EQ(count("sigterm"), 1);
  facts.agent = {true, "", 4712, 500};
  run(seconds{2});
  EXPECT_EQ(count("sigterm"), 2) << "another process has not been told";
}

TEST_F(TerminationRestartTest, AnIntentOfAnotherInstanceIsForgotten) {
  agent_obeys = false;
  facts.jobs = 1;
  run(minutes{1});
  memory.intent->instance = "i-image";
  facts.wanted = true;
  turn();
  EXPECT_EQ(done.back(), "forget");
  EXPECT_FALSE(memory.intent);
}

TEST_F(TerminationRestartTest, WithoutAnAgentJobsAreWaitedForAllTheSame) {
  facts.has_agent = false;
  facts.agent = {};
  facts.jobs = 1;
  run(hours{1});
  EXPECT_EQ(plan.state, kDraining);
  facts.jobs = 0;
  run(minutes{1});
  EXPECT_EQ(plan.state, kDone);
}

}  // namespace
}  // namespace buildwarden::policy
