#include "daemon/instance/intent.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/atomic_file.h"
#include "daemon/instance/agent.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::instance {
namespace {

using policy::TerminationAction;
using policy::TerminationOutcome;

policy::TerminationIntent intent() {
  policy::TerminationIntent made;
  made.instance = "i-1";
  made.region = "us-east-1";
  made.device = "8:1";
  made.mount = "/docker";
  made.reason = "2 GiB are free";
  made.began = {WallTime{Duration{1'000}}, BootTime{Duration{2'000}}};
  made.had_job = true;
  policy::TerminationStep step;
  step.action = TerminationAction::kTermAgent;
  step.at = {WallTime{Duration{3'000}}, BootTime{Duration{4'000}}};
  step.pid = 4711;
  step.pid_started = 99;
  step.tries = 3;
  step.decrement = true;
  step.outcome = TerminationOutcome::kThrottled;
  made.steps.push_back(step);
  return made;
}

TEST(IntentTest, ComesBackWhole) {
  const auto stored = read_intent(write_intent(intent(), "boot"));
  ASSERT_TRUE(stored) << stored.error().message();
  EXPECT_EQ(stored->boot_id, "boot");
  EXPECT_EQ(stored->intent.instance, "i-1");
  EXPECT_EQ(stored->intent.reason, "2 GiB are free");
  EXPECT_TRUE(stored->intent.had_job);
  ASSERT_EQ(stored->intent.steps.size(), 1U);
  const auto& step = stored->intent.steps[0];
  EXPECT_EQ(step.action, TerminationAction::kTermAgent);
  EXPECT_EQ(step.at.boot, BootTime{Duration{4'000}});
  EXPECT_EQ(step.at.wall, WallTime{Duration{3'000}});
  EXPECT_EQ(step.pid, 4711);
  EXPECT_EQ(step.pid_started, 99U);
  EXPECT_EQ(step.tries, 3);
  EXPECT_TRUE(step.decrement);
  EXPECT_EQ(step.outcome, TerminationOutcome::kThrottled);
}

TEST(IntentTest, OneWithoutTheJobsNewsIsRead) {
  auto text = write_intent(intent(), "boot");
  const std::string news = R"("had_job":true,)";
  ASSERT_NE(text.find(news), std::string::npos);
  text.erase(text.find(news), news.size());
  const auto stored = read_intent(text);
  ASSERT_TRUE(stored) << stored.error().message();
  EXPECT_FALSE(stored->intent.had_job);
}

TEST(IntentFileTest, IsOfThisBootOrGone) {
  const testing::TempFolder folder;
  const IntentFile file(folder.path(), "this");
  EXPECT_FALSE(*file.load()) << "there is none";
  ASSERT_TRUE(file.save(intent()));
  EXPECT_EQ((**file.load()).device, "8:1");
  EXPECT_FALSE(IntentFile(folder.path(), "another").load());
  EXPECT_FALSE(std::filesystem::exists(file.path()));
  for (const auto* const bad : {"", "{", "{}", "[]", R"({"version":1})", R"({"version":2})"}) {
    std::ofstream(file.path()) << bad;
    EXPECT_FALSE(file.load()) << bad;
    EXPECT_FALSE(std::filesystem::exists(file.path())) << bad;
  }
  EXPECT_FALSE(IntentFile(folder.path(), "").save(intent())) << "of which boot it is must be known";
  EXPECT_TRUE(file.remove());
}

policy::Marks low_at(Bytes bytes, std::int64_t inodes) {
  policy::Marks marks;
  marks.low = bytes;
  marks.low_inodes = inodes;
  return marks;
}

TEST(OnceOkTest, IsKnownOverARestartOfThisBoot) {
  const testing::TempFolder folder;
  const auto marks = low_at(10 * kGiB, 1'000);
  OnceOk first(folder.path(), "this");
  first.load();
  EXPECT_FALSE(first.has("8:1", marks));
  EXPECT_TRUE(first.note("8:1", marks));
  EXPECT_FALSE(first.note("8:1", marks));
  OnceOk second(folder.path(), "this");
  second.load();
  EXPECT_TRUE(second.has("8:1", marks));
  EXPECT_FALSE(second.has("8:2", marks));
  OnceOk other(folder.path(), "another");
  other.load();
  EXPECT_FALSE(other.has("8:1", marks));
}

TEST(OnceOkTest, BelongsToTheMarksThatItWasSeenWith) {
  const testing::TempFolder folder;
  OnceOk once(folder.path(), "this");
  once.note("8:1", low_at(10 * kGiB, 1'000));
  EXPECT_TRUE(once.has("8:1", low_at(kGiB, 10))) << "lower ones are met as well";
  EXPECT_FALSE(once.has("8:1", low_at(11 * kGiB, 1'000)));
  EXPECT_FALSE(once.has("8:1", low_at(10 * kGiB, 1'001)));
  EXPECT_TRUE(once.note("8:1", low_at(kGiB, 2'000)));
  OnceOk again(folder.path(), "this");
  again.load();
  EXPECT_TRUE(again.has("8:1", low_at(kGiB, 2'000)));
  EXPECT_TRUE(again.has("8:1", low_at(10 * kGiB, 1'000)));
  EXPECT_FALSE(again.has("8:1", low_at(10 * kGiB, 2'000))) << "never at once";
}

TEST(OnceOkTest, WhatAnOlderVersionWroteWithoutMarksSaysNothing) {
  const testing::TempFolder folder;
  std::ofstream(folder.path() + "/disks-once-ok") << "this\n8:1\n";
  OnceOk once(folder.path(), "this");
  once.load();
  EXPECT_FALSE(once.has("8:1", low_at(0, 0)));
}

ProgramEnd told(const std::string& output) {
  ProgramEnd end;
  end.exit_code = 0;
  end.output = output;
  return end;
}

TEST(AgentTest, IsItsMainProcessWithItsStart) {
  const auto running = agent_of(told("MainPID=" + std::to_string(::getpid()) + "\n"));
  EXPECT_TRUE(running.known);
  EXPECT_EQ(running.pid, ::getpid());
  EXPECT_GT(running.pid_started, 0U);
  EXPECT_EQ(agent_of(told("MainPID=0\n")).pid, 0);
  EXPECT_TRUE(agent_of(told("MainPID=0\n")).known);
  const testing::TempFolder empty;
  EXPECT_EQ(agent_of(told("MainPID=7\n"), empty.path()).pid, 0) << "it has just ended";
}

TEST(AgentTest, IsUnknownWhereSystemdSaysNothing) {
  EXPECT_FALSE(agent_of(told("")).known);
  EXPECT_FALSE(agent_of(told("MainPID=-1")).known);
  EXPECT_FALSE(agent_of(told("MainPID=x")).known);
  EXPECT_FALSE(agent_of(Error(Errc::kTimeout, "late")).known);
  auto failed = told("MainPID=0\n");
  failed.exit_code = 1;
  EXPECT_FALSE(agent_of(failed).known);
}

}  // namespace
}  // namespace buildwarden::instance
