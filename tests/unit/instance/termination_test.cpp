#include "daemon/instance/termination.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "common/atomic_file.h"
#include "daemon/instance/last_resort.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_journal.h"
#include "tests/support/loop.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::instance {
namespace {

using policy::TerminationAction;
using policy::TerminationState;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct FakeWorld : ports::DiskViews, ports::EngineState, ports::RunningJobs {
  ports::DiskView disk;
  ports::EngineStatus engine;
  std::vector<ports::RunningJob> jobs;
  [[nodiscard]] ports::DiskView disk_view() const override { return disk; }
  [[nodiscard]] ports::EngineStatus status() const override { return engine; }
  ports::Async<std::vector<ports::RunningJob>> running() override { co_return jobs; }
};

class RoomTest : public ::testing::Test {
 protected:
  RoomTest() {
    settings_.on_full.terminate_instance = true;
    settings_.paths.run = folder_.path() + "/run";
    ports::FilesystemSnapshot disk;
    disk.device = "8:1";
    disk.mount = "/docker";
    disk.gate = true;
    disk.pressure.level = policy::Level::kOk;
    world_.disk.filesystems = {disk};
    world_.engine.up = true;
    make();
    turns();
  }

  void make() {
    room_.reset();
    room_ = std::make_unique<Termination>(Termination::Parts{
        settings_, clock_, journal_, world_, world_, world_, {}, "boot", machine(), [] { return 0.0; }});
    room_->restore();
  }
  Machine machine() {
    Machine made;
    made.identify = [this](const std::string&, const std::stop_token&) {
      done_.emplace_back("identify");
      return Result<Identity>(Identity{"i-1", "us-east-1"});
    };
    made.call = [this](const AwsCli&, TerminationAction action, bool decrement, const std::stop_token&) {
      done_.push_back(std::string(to_string(action)) + (decrement ? " smaller" : ""));
      intent_then_.push_back(intent());
      policy::TerminationNews news;
      news.action = action;
      news.group = policy::GroupState::kInService;
      return news;
    };
    made.look_at_agent = [this](const std::string&, const std::stop_token&) { return agent_; };
    made.tell_agent = [this](const std::string& unit, TerminationAction action, const std::stop_token&) {
      done_.push_back(std::string(to_string(action)) + " " + unit);
      intent_then_.push_back(intent());
      if (action == TerminationAction::kTermAgent) agent_.pid = 0;
      if (action == TerminationAction::kStartAgent) agent_.pid = 4712;
      policy::TerminationNews news;
      news.action = action;
      return news;
    };
    made.write_line = [this](const std::string&, const std::string& line) {
      done_.push_back("tell " + line);
      return Result<void>{};
    };
    return made;
  }
  void turns() {
    int idle = 0;
    for (int i = 0; i < 20 && idle < 3; ++i) idle = testing::run_on(loop_, room_->turn()) ? 0 : idle + 1;
  }
  void pass(Duration time) {
    clock_.advance(time);
    turns();
  }
  void fill() { world_.disk.filesystems[0].pressure.level = policy::Level::kCritical; }
  [[nodiscard]] std::string path() const { return settings_.paths.run + "/termination"; }
  [[nodiscard]] std::string intent() const { return read_file(path()).value_or(""); }

  testing::TempFolder folder_;
  boost::asio::io_context loop_;
  Settings settings_;
  testing::FakeClock clock_;
  testing::FakeJournal journal_;
  FakeWorld world_;
  policy::AgentFacts agent_{true, "", 4711, 99};
  std::vector<std::string> done_;
  std::vector<std::string> intent_then_;
  std::unique_ptr<Termination> room_;
};

TEST_F(RoomTest, DoesAllOfItInOrderAndRecordsEachStepBefore) {
  fill();
  room_->ask("8:1");
  turns();
  pass(seconds{11});
  ASSERT_EQ(done_.size(), 6U);
  EXPECT_THAT(done_[3], HasSubstr("this instance (i-1) is being terminated"));
  done_.erase(done_.begin() + 3);
  EXPECT_THAT(done_,
              ElementsAre("identify", "describe", "sigterm buildkite-agent.service", "describe", "terminate smaller"));
  EXPECT_THAT(intent_then_[0], IsEmpty()) << "looking is no step";
  EXPECT_THAT(intent_then_[1], HasSubstr(R"("step":"sigterm","pid":4711,"pid_started":99)"));
  EXPECT_THAT(intent_then_.back(), HasSubstr(R"("step":"terminate")"));
  EXPECT_THAT(intent_then_.back(), HasSubstr(R"("outcome":"open")"));
  const auto view = room_->termination_view();
  EXPECT_EQ(view.state, TerminationState::kDone);
  EXPECT_EQ(view.instance, "i-1");
  EXPECT_EQ(view.mount, "/docker");
  EXPECT_EQ(view.steps.size(), 4U);
  EXPECT_EQ(journal_.count("instance.step"), 4U);
  EXPECT_EQ(journal_.last("instance.state").rule, "accepted");
}

TEST_F(RoomTest, RefusesJobsAndIsNotReadyWhileItIsPending) {
  EXPECT_EQ(room_->refusal(), "");
  fill();
  room_->ask("8:1");
  world_.jobs = {{"agent-1", "", "lease 1"}};
  agent_.pid = 4711;
  turns();
  EXPECT_THAT(room_->refusal(), HasSubstr("about to be terminated (draining)"));
  ASSERT_EQ(room_->not_ready().size(), 1U);
  EXPECT_EQ(room_->not_ready()[0].part, "instance");
}

TEST_F(RoomTest, NothingIsDoneThatCannotBeRecorded) {
  std::filesystem::remove_all(settings_.paths.run);
  std::ofstream(settings_.paths.run) << "a file where the folder should be";
  fill();
  room_->ask("8:1");
  turns();
  turns();
  EXPECT_THAT(done_, ElementsAre("identify", "describe"));
  EXPECT_EQ(journal_.count("instance.intent_not_saved"), 1U);
  EXPECT_THAT(room_->termination_view().reason, HasSubstr("cannot be recorded"));
}

TEST_F(RoomTest, AnotherDaemonGoesOnAndRepeatsNoSignal) {
  fill();
  room_->ask("8:1");
  world_.jobs = {{"agent-1", "", "lease 1"}};
  turns();
  done_.clear();
  make();
  EXPECT_THAT(room_->refusal(), HasSubstr("before the daemon's restart"));
  pass(minutes{10});
  EXPECT_THAT(done_, ElementsAre("identify", "describe"));
  world_.jobs.clear();
  pass(seconds{1});
  pass(seconds{10});
  EXPECT_EQ(done_.back(), "terminate smaller");
  EXPECT_EQ(std::count(done_.begin(), done_.end(), "sigterm buildkite-agent.service"), 0);
}

TEST_F(RoomTest, ThatADiskWasOnceWellOutlivesTheDaemon) {
  fill();
  make();
  room_->ask("8:1");
  turns();
  EXPECT_NE(room_->termination_view().rule, "disk_too_small");
  std::filesystem::remove_all(settings_.paths.run);
  done_.clear();
  make();
  room_->ask("8:1");
  pass(minutes{60});
  EXPECT_EQ(room_->termination_view().rule, "disk_too_small");
  EXPECT_THAT(done_, IsEmpty());
}

TEST_F(RoomTest, AStaleReadingIsNoReason) {
  fill();
  world_.disk.filesystems[0].error = "the disk does not answer";
  room_->ask("8:1");
  pass(minutes{60});
  EXPECT_EQ(room_->termination_view().rule, "unknown");
  EXPECT_THAT(done_, IsEmpty());
}

TEST_F(RoomTest, AWithdrawalRemovesTheIntentAfterTheAgentIsStartedAgain) {
  fill();
  room_->ask("8:1");
  turns();
  EXPECT_THAT(intent(), HasSubstr("tell"));
  world_.disk.filesystems[0].pressure.level = policy::Level::kLow;
  turns();
  EXPECT_EQ(done_.back(), "start buildkite-agent.service");
  EXPECT_EQ(intent_then_.back().empty(), false) << "its unit must not terminate the instance meanwhile";
  EXPECT_FALSE(std::filesystem::exists(path()));
  EXPECT_EQ(room_->termination_view().state, TerminationState::kNone);
}

class LastResortTest : public RoomTest {
 protected:
  policy::RungTurn turn(bool dry_run) {
    policy::RungTurn made{.rung = policy::RungId::kLastResort};
    made.terminate = settings_.on_full.terminate_instance;
    made.dry_run = dry_run;
    return made;
  }
  TerminationState reached(bool dry_run) {
    clock_.advance(seconds{1});
    LastResort rung({settings_, clock_, world_, *room_});
    const auto at = turn(dry_run);
    EXPECT_THAT(*testing::run_on(loop_, rung.list(at)), IsEmpty());
    turns();
    return room_->termination_view().state;
  }
  [[nodiscard]] bool frees() {
    clock_.advance(seconds{1});
    ports::FilesystemSnapshot filesystem;
    filesystem.device = "8:1";
    return LastResort({settings_, clock_, world_, *room_}).frees(filesystem);
  }
};

TEST_F(LastResortTest, IsThereOnlyForACriticalGateAndWithPermission) {
  EXPECT_FALSE(frees()) << "it is well";
  fill();
  EXPECT_TRUE(frees());
  world_.disk.filesystems[0].gate = false;
  EXPECT_FALSE(frees());
  EXPECT_EQ(reached(false), TerminationState::kNone);
  world_.disk.filesystems[0].gate = true;
  settings_.on_full.terminate_instance = false;
  EXPECT_FALSE(frees());
  EXPECT_EQ(reached(false), TerminationState::kNone);
  EXPECT_THAT(done_, IsEmpty()) << "not even the metadata are asked";
}

// What a person is told who asks for a plan.
TEST_F(LastResortTest, TellsWhatItWouldDoAndDoesNothing) {
  const auto would = [&] {
    ports::FilesystemSnapshot filesystem;
    filesystem.device = "8:1";
    return *LastResort({settings_, clock_, world_, *room_}).last_resort(filesystem);
  };
  fill();
  EXPECT_EQ(would().rule, "dry_run");
  EXPECT_THAT(would().reason, HasSubstr("new jobs would be refused; "));
  EXPECT_THAT(would().reason, HasSubstr("would drain and terminate the instance"));
  settings_.instance.min_uptime = std::chrono::hours{1'000};
  EXPECT_EQ(would().rule, "min_uptime");
  settings_.on_full.terminate_instance = false;
  EXPECT_EQ(would().rule, "not_wanted");
  EXPECT_THAT(would().reason, HasSubstr("on_full.terminate_instance is false"));
  turns();
  EXPECT_EQ(room_->termination_view().state, TerminationState::kNone);
  EXPECT_THAT(done_, IsEmpty());
  EXPECT_EQ(journal_.count("instance.would"), 0U);
}

TEST_F(LastResortTest, TellsOfATerminationUnderWay) {
  fill();
  reached(false);
  ports::FilesystemSnapshot filesystem;
  filesystem.device = "8:1";
  EXPECT_THAT(LastResort({settings_, clock_, world_, *room_}).last_resort(filesystem)->reason,
              HasSubstr("a termination is under way ("));
}

TEST_F(LastResortTest, APlanBeginsNothing) {
  fill();
  EXPECT_EQ(reached(true), TerminationState::kNone);
  settings_.dry_run = true;
  EXPECT_EQ(reached(true), TerminationState::kHeld);
  EXPECT_EQ(journal_.count("instance.would"), 1U);
  EXPECT_THAT(done_, IsEmpty());
  settings_.dry_run = false;
  EXPECT_NE(reached(false), TerminationState::kHeld);
}

}  // namespace
}  // namespace buildwarden::instance
