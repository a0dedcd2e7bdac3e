#include "daemon/builders/build_history.h"

#include <gmock/gmock.h>

#include "tests/support/fake_containers.h"
#include "tests/support/fake_journal.h"
#include "tests/support/run_void.h"

namespace buildwarden::builders {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class BuildHistoryTest : public ::testing::Test {
 protected:
  BuildHistoryTest() {
    auto& container = engine_.containers["buildwarden_s3"];
    container.seen.id = "one";
    container.seen.ours = true;
    container.seen.state = policy::ContainerState::kRunning;
    engine_.execute = [this](const std::vector<std::string>& command) {
      commands_.push_back(command);
      ports::ContainerControl::ExecResult result;
      result.exit_code = exit_code_;
      result.errors = "No help topic";
      return result;
    };
    handout_.on_left([this](const std::string& builder) { histories_.left(builder); });
  }
  void grant(const std::string& job) {
    ports::GrantRequest request;
    request.job = job;
    ASSERT_TRUE(handout_.grant(request));
  }
  std::size_t told_after_a_turn() {
    commands_.clear();
    testing::run_void(loop_, histories_.turn());
    return commands_.size();
  }

  boost::asio::io_context loop_;
  testing::FakeContainers engine_;
  testing::FakeJournal journal_;
  WorkerPool workers_{1};
  Settings settings_;
  int exit_code_ = 0;
  std::vector<std::vector<std::string>> commands_;
  Handout handout_{{BuilderSettings{}}, PathSettings{}};
  BuilderCache cache_{"s3", {engine_, engine_, workers_}};
  BuildHistories histories_{[this] { return std::vector<BuilderCache*>{&cache_}; }, {handout_, journal_, settings_}};
};

TEST_F(BuildHistoryTest, TheLastLeasesEndDeletesTheRecordsOnce) {
  grant("1");
  grant("2");
  handout_.release("1");
  EXPECT_EQ(told_after_a_turn(), 0U) << "the other job may still read its own";
  handout_.release("2");
  ASSERT_EQ(told_after_a_turn(), 1U);
  EXPECT_THAT(commands_[0], ElementsAre("buildctl", "prune-histories"));
  EXPECT_EQ(told_after_a_turn(), 0U);
  handout_.release("2");
  EXPECT_EQ(told_after_a_turn(), 0U) << "nobody held it";
}

class LearnedCosts final : public ports::CostLearner {
 public:
  boost::asio::awaitable<void> learn_steps(std::string builder, std::vector<policy::BuildStep> steps,
                                           std::vector<policy::CacheRecord> records) override {
    ++looks;
    for (const auto& step : steps) told.push_back(builder + " " + step.name + " " + std::to_string(records.size()));
    co_return;
  }
  void pulled(const std::string&, Duration) override {}
  std::vector<std::string> told;
  int looks = 0;
};

// Issue 18: what steps took is known nowhere else, so it is read before the history goes; and that goes whatever comes
// of the reading.
TEST_F(BuildHistoryTest, WhatStepsTookIsReadBeforeItIsDeleted) {
  LearnedCosts costs;
  bool carried_out = true;
  BuildHistories histories{[this] { return std::vector<BuilderCache*>{&cache_}; },
                           {handout_, journal_, settings_, &costs}};
  engine_.execute = [&](const std::vector<std::string>& command) {
    commands_.push_back(command);
    ports::ContainerControl::ExecResult result;
    result.exit_code = exit_code_;
    if (command.front() == "sh" && carried_out) {
      result.output = R"({"vertexes":[{"digest":"d","name":"RUN a","started":"2026-01-01T10:00:00Z",)"
                      R"("completed":"2026-01-01T10:00:03Z"}]})";
    } else if (command.front() != "sh" && command[1] == "du") {
      result.output = R"([{"id":"a","inUse":false,"size":1,"createdAt":"2026-01-01T09:00:00Z","shared":false}])";
    }
    return result;
  };
  const auto asked = [&] {
    commands_.clear();
    testing::run_void(loop_, histories.turn());
    std::string all;
    for (const auto& command : commands_) all += command.front() == "sh" ? "steps " : command[1] + " ";
    return all;
  };
  histories.left("s3");
  EXPECT_EQ(asked(), "steps du prune-histories ");
  EXPECT_THAT(costs.told, ElementsAre("s3 RUN a 1"));
  carried_out = false;
  histories.left("s3");
  EXPECT_EQ(asked(), "steps du prune-histories ") << "a build that found all in the cache has used it";
  EXPECT_EQ(costs.looks, 2);
  settings_.disk.rank_by = RankBy::kLastUse;
  histories.left("s3");
  EXPECT_EQ(asked(), "prune-histories ") << "nobody needs it";
  settings_.disk.rank_by = RankBy::kValue;
  exit_code_ = 1;
  histories.left("s3");
  EXPECT_EQ(asked(), "steps prune-histories ");
}

// What cannot be deleted is read again, with what was learned of it already.
TEST_F(BuildHistoryTest, StepsAreLearnedOnceWhileTheyCannotBeDeleted) {
  LearnedCosts costs;
  BuildHistories histories{[this] { return std::vector<BuilderCache*>{&cache_}; },
                           {handout_, journal_, settings_, &costs}};
  std::string steps;
  const auto add_step = [&steps](const std::string& name, const std::string& completed) {
    steps += std::string(steps.empty() ? "" : "\n") + R"({"vertexes":[{"digest":")" + name + R"(","name":")" + name +
             R"(","started":"2026-01-01T10:00:00Z","completed":")" + completed + R"("}]})";
  };
  engine_.execute = [&](const std::vector<std::string>& command) {
    ports::ContainerControl::ExecResult result;
    const bool is_read = command.front() == "sh" || command[1] == "du";
    result.exit_code = is_read ? 0 : exit_code_;
    result.output = command.front() == "sh" ? steps : "[]";
    return result;
  };
  const auto learned = [&] {
    costs.told.clear();
    histories.left("s3");
    testing::run_void(loop_, histories.turn());
    return costs.told;
  };
  exit_code_ = 1;
  add_step("RUN a", "2026-01-01T10:00:03Z");
  EXPECT_THAT(learned(), ElementsAre("s3 RUN a 0"));
  EXPECT_THAT(learned(), ElementsAre());
  add_step("RUN b", "2026-01-01T10:00:04Z");
  EXPECT_THAT(learned(), ElementsAre("s3 RUN b 0"));
  exit_code_ = 0;
  EXPECT_THAT(learned(), ElementsAre());
  steps.clear();
  add_step("RUN c", "2026-01-01T10:00:02Z");
  EXPECT_THAT(learned(), ElementsAre("s3 RUN c 0")) << "nothing is left of those that were learned";
}

TEST_F(BuildHistoryTest, ABuilderThatIsHeldAgainIsLeftAlone) {
  grant("1");
  handout_.release("1");
  grant("2");
  EXPECT_EQ(told_after_a_turn(), 0U);
  handout_.release("2");
  EXPECT_EQ(told_after_a_turn(), 1U);
}

TEST_F(BuildHistoryTest, ADryRunDeletesNothing) {
  settings_.dry_run = true;
  grant("1");
  handout_.release("1");
  EXPECT_EQ(told_after_a_turn(), 0U);
}

// Issue 15: a deletion that fails must not leave the keys of a job's cache until the next lease ends.
TEST_F(BuildHistoryTest, AFailedDeletionIsTriedAgain) {
  exit_code_ = 1;
  grant("1");
  handout_.release("1");
  std::string asked;
  for (int turn = 0; turn < 9; ++turn) asked += std::to_string(told_after_a_turn());
  EXPECT_EQ(asked, "110100010") << "after 1, 2, 4 … turns";
  handout_.release("2");
  grant("2");
  handout_.release("2");
  exit_code_ = 0;
  EXPECT_EQ(told_after_a_turn(), 1U) << "another lease has ended";
  EXPECT_EQ(told_after_a_turn(), 0U);
  engine_.containers.at("buildwarden_s3").seen.state = policy::ContainerState::kExited;
  grant("3");
  handout_.release("3");
  EXPECT_EQ(told_after_a_turn(), 0U);
  engine_.containers.at("buildwarden_s3").seen.state = policy::ContainerState::kRunning;
  EXPECT_EQ(told_after_a_turn(), 1U) << "what it remembers lay on its volume";
}

TEST_F(BuildHistoryTest, ABuilderThatDoesNotDoItIsToldOfOnceAndOneThatIsAwayNever) {
  exit_code_ = 3;
  for (const std::string job : {"1", "2"}) {
    grant(job);
    handout_.release(job);
    EXPECT_EQ(told_after_a_turn(), 1U);
  }
  EXPECT_EQ(journal_.count("builder.history_kept"), 1U);
  EXPECT_THAT(journal_.last("builder.history_kept").reason, HasSubstr("No help topic"));
  engine_.containers.clear();
  grant("3");
  handout_.release("3");
  EXPECT_EQ(told_after_a_turn(), 0U);
  EXPECT_EQ(journal_.count("builder.history_kept"), 1U);
}

}  // namespace
}  // namespace buildwarden::builders
