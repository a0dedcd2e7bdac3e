#include "daemon/filesystems/disk_monitor.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_image_engine.h"
#include "tests/support/fake_journal.h"
#include "tests/support/fake_paths.h"
#include "tests/support/fake_space.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {
namespace {

using testing::run_on;

class FakeBuilders final : public ports::BuilderViews {
 public:
  ports::BuildersView view;
  [[nodiscard]] ports::BuildersView builders_view() const override { return view; }
};

// 100 GiB, marks by default: critical 5, low 15, target 25 GiB.
class DiskMonitorTest : public ::testing::Test {
 protected:
  static PathSamplerTiming timing() {
    PathSamplerTiming timing;
    timing.patience = Duration{1'000};  // waited out only by what hangs
    return timing;
  }
  DiskMonitorTest() {
    settings_.disk.watch = {WatchedPath{"/docker", true}};
    paths_.put("/docker", 1, 50);
  }
  Duration turn() { return run_on(loop_, monitor_.turn(true)); }
  bool reclaim() { return run_on(loop_, monitor_.reclaim_turn()); }
  [[nodiscard]] ports::FilesystemSnapshot only() const {
    const auto views = filesystems_.snapshots();
    EXPECT_EQ(views.size(), 1U);
    return views.empty() ? ports::FilesystemSnapshot{} : views.front();
  }

  Settings settings_;
  testing::FakeClock clock_;
  testing::FakePaths paths_;
  testing::FakeJournal journal_;
  testing::FakeSpace space_;
  testing::FakeImageEngine engine_;
  boost::asio::io_context loop_;
  std::string data_root_ = "/docker";
  std::vector<std::string> stores_;
  bool store_unknown_ = false;
  PathSampler sampler_{paths_.function(), std::make_shared<MountTable>("/nonexistent"), timing()};
  FilesystemTable filesystems_{FilesystemTable::Parts{
      settings_, clock_, sampler_, [this] { return EngineHome{data_root_, stores_, store_unknown_}; }}};
  FakeBuilders builders_;
  WorkerPool workers_{1};
  DiskUsage users_{DiskUsage::Parts{engine_, engine_, builders_, clock_, workers_}};
  DiskMonitor monitor_{
      DiskMonitor::Parts{settings_, clock_, journal_, filesystems_, space_, users_,
                         [](const ports::FilesystemSnapshot& filesystem) { return filesystem.has_role("data_root"); }}};
};

TEST_F(DiskMonitorTest, FoldersOfOneDeviceAreOneFilesystem) {
  settings_.disk.watch = {WatchedPath{"/docker", true}, WatchedPath{"/builds", true}, WatchedPath{"/other", false}};
  paths_.put("/builds", 1, 50);
  paths_.put("/other", 2, 50);
  turn();
  const auto views = filesystems_.snapshots();
  ASSERT_EQ(views.size(), 2U);
  EXPECT_EQ(views[0].device, "8:1");
  EXPECT_EQ(views[0].paths, (std::vector<std::string>{"/docker", "/builds"}));
  EXPECT_EQ(views[0].roles, (std::vector<std::string>{"data_root", "configured"}));
  EXPECT_TRUE(views[0].gate);
  EXPECT_EQ(views[0].marks.critical, 5 * kGiB);
  EXPECT_EQ(views[1].device, "8:2");
  EXPECT_FALSE(views[1].gate);
}

// Where builders keep their caches: a mount of its own is watched as the data root is; else it is no news.
TEST_F(DiskMonitorTest, VolumesOnAFilesystemOfTheirOwnAreWatchedApart) {
  settings_.disk.watch.clear();
  paths_.put("/docker/volumes", 1, 50);
  turn();
  auto views = filesystems_.snapshots();
  ASSERT_FALSE(views.empty());
  EXPECT_EQ(views[0].paths, (std::vector<std::string>{"/docker"}));
  EXPECT_EQ(views[0].roles, (std::vector<std::string>{"data_root"}));
  paths_.put("/docker/volumes", 2, 4);
  clock_.advance(std::chrono::minutes{1});
  turn();
  views = filesystems_.snapshots();
  ASSERT_GE(views.size(), 2U);
  EXPECT_EQ(views[1].device, "8:2");
  EXPECT_EQ(views[1].roles, (std::vector<std::string>{"volumes"}));
  EXPECT_TRUE(views[1].gate);
  EXPECT_EQ(views[1].pressure.level, policy::Level::kCritical);
  EXPECT_EQ(views[0].pressure.level, policy::Level::kOk);
}

TEST_F(DiskMonitorTest, ALevelChangeIsAnEventWithItsNumbers) {
  turn();
  ASSERT_EQ(journal_.count("disk.level"), 1U);
  turn();
  EXPECT_EQ(journal_.count("disk.level"), 1U);
  paths_.put("/docker", 1, 4);
  clock_.advance(Duration{1'000});
  turn();
  ASSERT_EQ(journal_.count("disk.level"), 2U);
  const auto event = journal_.last("disk.level");
  EXPECT_EQ(event.severity, ports::Severity::kError);
  EXPECT_NE(event.reason.find("from ok to critical"), std::string::npos) << event.reason;
  EXPECT_NE(event.reason.find("4.00 GiB"), std::string::npos) << event.reason;
}

TEST_F(DiskMonitorTest, AnotherDiskMountedOverThePathRestartsItsHistory) {
  turn();
  turn();
  EXPECT_EQ(only().readings, 2U);
  paths_.put("/docker", 1, 50, /*fsid=*/2);
  turn();
  EXPECT_EQ(only().readings, 1U);
  EXPECT_EQ(journal_.count("disk.level"), 2U);
}

TEST_F(DiskMonitorTest, RoomIsMadeWhenItIsLow) {
  turn();
  EXPECT_FALSE(reclaim());
  paths_.put("/docker", 1, 10);
  turn();
  EXPECT_TRUE(reclaim());
  ASSERT_EQ(space_.requests.size(), 1U);
  EXPECT_EQ(space_.requests[0].free, 0);
  EXPECT_FALSE(space_.requests[0].on_request);
}

TEST_F(DiskMonitorTest, AfterAShortReclaimItWaitsUnlessItGetsWorse) {
  paths_.put("/docker", 1, 10);
  turn();
  EXPECT_TRUE(reclaim());
  clock_.advance(Duration{59'000});
  turn();
  EXPECT_FALSE(reclaim());
  paths_.put("/docker", 1, 4);
  turn();
  EXPECT_TRUE(reclaim());
  EXPECT_FALSE(reclaim());
  paths_.put("/docker", 1, 0);
  turn();
  EXPECT_TRUE(reclaim()) << "exhausted does not wait";
  EXPECT_FALSE(reclaim());
  clock_.advance(Duration{61'000});
  EXPECT_TRUE(reclaim());
}

TEST_F(DiskMonitorTest, WithAnotherConfigurationItTriesAgainAtOnce) {
  paths_.put("/docker", 1, 10);
  turn();
  EXPECT_TRUE(reclaim());
  EXPECT_FALSE(reclaim());
  monitor_.look_now();
  EXPECT_TRUE(reclaim());
}

// Each command in a container mounts for a moment, also the one that a reclaim asks a builder's cache by.
TEST_F(DiskMonitorTest, AMountAloneIsNoReasonToTryAgainButAnotherFilesystemIs) {
  paths_.put("/docker", 1, 10);
  turn();
  EXPECT_TRUE(reclaim());
  for (int mounts = 0; mounts < 5; ++mounts) {
    monitor_.mounts_changed();
    turn();
    EXPECT_FALSE(reclaim()) << mounts;
  }
  paths_.put("/docker", 2, 10);
  monitor_.mounts_changed();
  turn();
  EXPECT_TRUE(reclaim());
  EXPECT_FALSE(reclaim());
}

// An engine that went away comes back in seconds: then it goes on, and does not wait for a minute.
TEST_F(DiskMonitorTest, AfterAHinderedReclaimItTriesAgainSoonAndThenLessOften) {
  paths_.put("/docker", 1, 10);
  space_.answer.hindered = true;
  turn();
  std::vector<std::int64_t> pauses;
  for (std::int64_t last = 0, second = 0; pauses.size() < 8; ++second) {
    if (reclaim()) {
      pauses.push_back(second - last);
      last = second;
    }
    clock_.advance(std::chrono::seconds{1});
    turn();
  }
  EXPECT_EQ(pauses, (std::vector<std::int64_t>{0, 2, 4, 8, 16, 32, 60, 60}));
  space_.answer.hindered = false;
  clock_.advance(std::chrono::seconds{60});
  EXPECT_TRUE(reclaim());
  space_.answer.hindered = true;
  clock_.advance(std::chrono::seconds{60});
  EXPECT_TRUE(reclaim());
  clock_.advance(std::chrono::seconds{2});
  EXPECT_TRUE(reclaim());
}

// What it freed may be taken again before anybody looks: then the next one begins at once, not in seconds.
TEST_F(DiskMonitorTest, AfterAReclaimThatWasEnoughTheNextOneIsNotPutOff) {
  space_.answer.reached = true;
  space_.answer.steps.resize(1);
  paths_.put("/docker", 1, 10);
  turn();
  EXPECT_TRUE(reclaim());
  EXPECT_FALSE(reclaim()) << "the disk has not been looked at since";
  clock_.advance(Duration{20});
  turn();
  EXPECT_TRUE(reclaim());
  paths_.put("/docker", 1, 50);
  clock_.advance(Duration{20});
  turn();
  EXPECT_FALSE(reclaim()) << "there is enough";
}

TEST_F(DiskMonitorTest, AReclaimThatFoundEnoughIsRepeatedWithAPause) {
  space_.answer.reached = true;
  paths_.put("/docker", 1, 10);
  turn();
  EXPECT_TRUE(reclaim());
  clock_.advance(Duration{49});
  EXPECT_FALSE(reclaim());
  clock_.advance(Duration{1});
  EXPECT_TRUE(reclaim());
}

// A dry run that would reach its target leaves the disk as it is: it is not said again every two seconds.
TEST_F(DiskMonitorTest, ADryRunIsNotRepeatedAllTheTime) {
  settings_.dry_run = true;
  space_.answer.reached = true;
  paths_.put("/docker", 1, 10);
  turn();
  EXPECT_TRUE(reclaim());
  clock_.advance(std::chrono::seconds{59});
  EXPECT_FALSE(reclaim());
  clock_.advance(std::chrono::seconds{1});
  EXPECT_TRUE(reclaim());
}

TEST_F(DiskMonitorTest, AFailedReadingIsShownAndNeverStartsAReclaim) {
  paths_.put("/docker", 1, 10);
  turn();
  paths_.hang("/docker");
  turn();
  clock_.advance(Duration{6'000});
  turn();
  EXPECT_EQ(only().pressure.level, policy::Level::kUnknown);
  EXPECT_EQ(only().failures, 1U);
  EXPECT_NE(only().error.find("has not answered for"), std::string::npos);
  EXPECT_FALSE(reclaim());
  EXPECT_TRUE(space_.requests.empty());
}

TEST_F(DiskMonitorTest, AnotherFullDiskDoesNotStartAReclaimOfTheEngines) {
  settings_.disk.watch.push_back(WatchedPath{"/builds", true});
  paths_.put("/builds", 2, 1);
  turn();
  EXPECT_FALSE(reclaim());
}

TEST_F(DiskMonitorTest, AMissingFolderIsAnErrorUnlessItIsOptional) {
  settings_.disk.watch = {};
  settings_.paths.builds = "/builds";
  settings_.paths.state = "/state";
  data_root_ = "/absent";
  paths_.put("/", 1, 50);
  turn();
  const auto views = filesystems_.snapshots();
  ASSERT_EQ(views.size(), 2U);
  EXPECT_EQ(views[0].roles, (std::vector<std::string>{"root"}));
  EXPECT_EQ(views[1].paths, (std::vector<std::string>{"/absent"}));
  EXPECT_EQ(views[1].error, "no /absent");
  EXPECT_EQ(views[1].pressure.level, policy::Level::kUnknown);
}

TEST_F(DiskMonitorTest, AMeasurementOfAFilesystemThatStoppedAnsweringHasNoReading) {
  turn();
  auto measured = run_on(loop_, filesystems_.measure());
  ASSERT_EQ(measured.size(), 1U);
  EXPECT_TRUE(measured[0].reading);
  EXPECT_TRUE(measured[0].has_role("data_root"));
  paths_.hang("/docker");
  measured = run_on(loop_, filesystems_.measure());
  EXPECT_FALSE(measured[0].reading);
}

TEST_F(DiskMonitorTest, AClockStepSwitchesTheAgesOffForAWhile) {
  turn();
  EXPECT_TRUE(monitor_.clock_is_steady_for(settings_.disk.keep_used_within));
  clock_.step_wall(std::chrono::seconds{61});
  turn();
  EXPECT_EQ(journal_.count("clock.step"), 1U);
  EXPECT_FALSE(monitor_.clock_is_steady_for(settings_.disk.keep_used_within));
  clock_.advance(settings_.disk.keep_used_within + Duration{1});
  turn();
  EXPECT_EQ(journal_.count("clock.step"), 1U);
  EXPECT_TRUE(monitor_.clock_is_steady_for(settings_.disk.keep_used_within));
}

TEST_F(DiskMonitorTest, UsersAreAskedForOnceAMinute) {
  engine_.add_image("sha256:a", {"a:1"}, 7);
  testing::run_void(loop_, users_.refresh());
  engine_.add_image("sha256:b", {"b:1"}, 5);
  testing::run_void(loop_, users_.refresh());
  ASSERT_EQ(users_.last().size(), 2U);
  EXPECT_EQ(users_.last()[0].bytes, 7);
  clock_.advance(std::chrono::seconds{60});
  testing::run_void(loop_, users_.refresh());
  EXPECT_EQ(users_.last()[0].bytes, 12);
  EXPECT_EQ(users_.last()[0].name, "2 images");
}

TEST_F(DiskMonitorTest, EachBuilderWhoseCacheIsKnownIsAUser) {
  ports::BuilderView known;
  known.name = "s3";
  known.cache_bytes = 9;
  ports::BuilderView unknown;
  unknown.name = "other";
  builders_.view.builders = {unknown, known};
  policy::CacheRecord record;
  record.size = 5;
  engine_.records = {record};
  testing::run_void(loop_, users_.refresh());
  const auto& users = users_.last();
  ASSERT_EQ(users.size(), 3U);
  EXPECT_EQ(users[0].kind + " " + users[0].name, "builder_cache s3");
  EXPECT_EQ(users[0].bytes, 9);
  EXPECT_EQ(users[1].kind + " " + users[1].name, "build_cache 1 record");
  EXPECT_EQ(users[1].bytes, 5);
}

TEST_F(DiskMonitorTest, TheLoopsRunAndStop) {
  paths_.put("/docker", 1, 10);
  testing::Background running(loop_, monitor_.run());
  testing::run_until(loop_, [this] { return !space_.requests.empty(); });
  monitor_.stop();
  testing::run_until(loop_, [&running] { return running.ended(); });
}

}  // namespace
}  // namespace buildwarden::disk
