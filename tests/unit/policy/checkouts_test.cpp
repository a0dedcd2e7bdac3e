// Who has a checkout, and which idle one goes last (H11, H12).
#include "daemon/policy/checkouts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "daemon/policy/eviction_order.h"
#include "daemon/policy/ladder.h"

namespace buildwarden::policy {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const WallTime kNoon{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1} + hours{12}};

Checkout checkout(const std::string& agent, const std::string& org, const std::string& pipeline) {
  return {agent, org, pipeline, "/builds/" + agent + "/" + org + "/" + pipeline, kNoon - hours{2}};
}
JobOnHost lease(const std::string& agent, const std::string& path) { return {"7", agent, path, "lease 7"}; }
JobOnHost process(const std::string& job, const std::string& agent) {
  return {job, agent, "", "process 4711", kNoon - hours{1}};
}

struct Row {
  const char* what;
  JobOnHost running;
  bool busy;  // of /builds/ci-1/acme/web
};

TEST(Checkouts, OneIsInUseBy) {
  const auto web = checkout("ci-1", "acme", "web");
  const std::vector<Row> rows = {
      {"a lease that names it", lease("ci-1", "/builds/ci-1/acme/web"), true},
      {"with a slash more", lease("ci-1", "/builds/ci-1/acme/web/"), true},
      {"a lease that names a folder in it", lease("ci-1", "/builds/ci-1/acme/web/sub"), true},
      {"a lease that names a folder around it", lease("", "/builds/ci-1"), true},
      {"a lease on everything", lease("", "/"), true},
      {"another agent's lease that names it", lease("ci-2", "/builds/ci-1/acme/web"), true},
      {"a lease of that agent on another one", lease("ci-1", "/builds/ci-1/acme/api"), false},
      {"one whose name begins like it", lease("ci-1", "/builds/ci-1/acme/web-2"), false},
      {"a lease of that agent without a checkout", lease("ci-1", ""), true},
      {"a lease of another agent without a checkout", lease("ci-2", ""), false},
      {"a lease that says nothing", lease("", ""), true},
      {"a process of that agent", process("9", "ci-1"), true},
      {"a process of that agent without a job's id", process("", "ci-1"), true},
      {"a process of another agent", process("9", "ci-2"), false},
      {"a process that does not say whose it is", process("9", ""), true},
      {"an agent whose folder has another name than it", process("9", "ci.1"), true},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(!judge_checkout(web, {row.running}, {}, "").in_use_by.empty(), row.busy) << row.what;
  }
  EXPECT_EQ(judge_checkout(web, {}, {}, "").in_use_by, "");
  EXPECT_EQ(judge_checkout(web, {}, {}, "process 3 (git)").in_use_by, "process 3 (git)");
  EXPECT_THAT(judge_checkout(web, {process("9", "ci-1")}, {}, "").in_use_by, HasSubstr("process 4711, a job of that"));
}

TEST(Checkouts, AnAgentsFolderIsMadeFromItsName) {
  EXPECT_EQ(agent_folder("stack-i-0abc-1"), "stack-i-0abc-1");
  EXPECT_EQ(agent_folder("My agent.example_1/2"), "My-agent-example-1-2");
  EXPECT_EQ(agent_folder("b\xc3\xa4r"), "b-r");
  EXPECT_EQ(agent_folder(".."), "--");
  EXPECT_FALSE(is_checkout_part(".."));
  EXPECT_FALSE(is_checkout_part(".buildwarden-trash"));
  EXPECT_FALSE(is_checkout_part(""));
  EXPECT_TRUE(is_checkout_part("acme"));
}

// One agent an instance: the job asks from its environment hook, its own processes are there, its checkout is not.
TEST(Checkouts, TheJobThatAsksDoesNotHoldWhatItHasNotUsed) {
  const std::vector<JobOnHost> running = {process("9", "ci-1")};
  JobToCome asking{"9", "ci-1", "web", "/builds/ci-1/acme/web", true};
  const auto own = judge_checkout(checkout("ci-1", "acme", "web"), running, {asking}, "");
  EXPECT_EQ(own.in_use_by, "");
  EXPECT_TRUE(own.given_up);
  EXPECT_TRUE(own.last);
  const auto other = judge_checkout(checkout("ci-1", "acme", "api"), running, {asking}, "");
  EXPECT_EQ(other.in_use_by, "");
  EXPECT_TRUE(other.given_up);
  EXPECT_FALSE(other.last);
  const auto siblings = judge_checkout(checkout("ci-2", "acme", "web"), running, {asking}, "");
  EXPECT_EQ(siblings.in_use_by, "");
  EXPECT_FALSE(siblings.given_up) << "another agent may be between two jobs";
  EXPECT_FALSE(siblings.last);
  asking.asks = false;
  const auto meanwhile = judge_checkout(checkout("ci-1", "acme", "web"), running, {asking}, "");
  EXPECT_EQ(meanwhile.in_use_by, "");
  EXPECT_FALSE(meanwhile.given_up) << "room is made for somebody else";
  EXPECT_TRUE(meanwhile.last);
  const auto open = judge_checkout(checkout("ci-1", "acme", "web"), running, {asking}, "process 12");
  EXPECT_EQ(open.in_use_by, "process 12") << "whoever asks: a process that is in it has it";
}

TEST(Checkouts, WhatTheAskingJobSaysLittleOfIsCompletedByItsProcesses) {
  const std::vector<JobOnHost> running = {process("9", "ci-1")};
  EXPECT_TRUE(judge_checkout(checkout("ci-1", "acme", "web"), running, {{"9", "", "acme/web", ""}}, "").last);
  EXPECT_FALSE(judge_checkout(checkout("ci-1", "acme", "web"), running, {{"9", "", "web-2", ""}}, "").last);
  EXPECT_TRUE(judge_checkout(checkout("ci-1", "acme", "web"), running, {{"9", "", "", "", true}}, "").given_up);
  EXPECT_FALSE(judge_checkout(checkout("ci-2", "acme", "web"), running, {{"9", "", "web", "", true}}, "").given_up);
}

TEST(Checkouts, AJobThatAsksFromWithinItsWorkKeepsWhatItHasUsed) {
  auto own = checkout("ci-1", "acme", "web");
  own.used_at = kNoon - minutes{30};
  const auto use = judge_checkout(own, {process("9", "ci-1")}, {{"9", "ci-1", "web", own.path}}, "");
  EXPECT_THAT(use.in_use_by, HasSubstr("process 4711"));
}

TEST(Checkouts, AnotherJobOfTheAgentStillHoldsIt) {
  const std::vector<JobOnHost> running = {process("9", "ci-1"), process("8", "ci-1")};
  EXPECT_NE(judge_checkout(checkout("ci-1", "acme", "web"), running, {{"9", "ci-1", "", ""}}, "").in_use_by, "");
}

TEST(Checkouts, WhatAnAgentGaveUpHasNoAgeAndItsNextJobsOwnGoesLast) {
  Candidate young;
  young.id = "young";
  young.last_use = {kNoon - minutes{1}, minutes{1}};
  auto given_up = young;
  given_up.id = "given up";
  given_up.given_up = true;
  auto own = given_up;
  own.id = "own";
  own.last_use = {kNoon - hours{9}, hours{9}};
  own.last = true;
  auto old = young;
  old.id = "old";
  old.last_use = {kNoon - hours{5}, hours{5}};
  auto busy = old;
  busy.id = "busy";
  busy.in_use_by = "lease 7";
  EvictionRules rules;
  rules.age = rules.grace = minutes{10};
  const auto ranking = rank({own, young, given_up, old, busy}, rules, Now{kNoon, BootTime{hours{10}}});
  std::vector<std::string> order;
  for (const auto& one : ranking.order) order.push_back(one.id);
  EXPECT_THAT(order, ElementsAre("old", "given up", "own"));
}

// H11: with purge_builds=false, at no level and in no pass.
TEST(Checkouts, AreOnTheLadderOnlyWithPurgeBuildsOnlyAtCriticalAndAfterAllElse) {
  for (const auto level : {Level::kOk, Level::kLow, Level::kCritical, Level::kExhausted, Level::kUnknown}) {
    for (const bool purge : {false, true}) {
      for (const bool gentle : {false, true}) {
        LadderRequest request;
        request.level = level;
        request.purge_builds = purge;
        request.only_gentle = gentle;
        bool seen = false;
        for (const auto& turn : climb(request)) {
          EXPECT_FALSE(seen && turn.rung < RungId::kCheckouts) << "nothing comes after it but the last resort";
          seen = seen || turn.rung == RungId::kCheckouts;
        }
        const bool critical = level == Level::kCritical || level == Level::kExhausted;
        EXPECT_EQ(seen, purge && critical && !gentle);
      }
    }
  }
}

}  // namespace
}  // namespace buildwarden::policy
