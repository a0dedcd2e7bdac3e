// The daemon on full disks: real ext4 and XFS, with its state on them, filled by a user and by root.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <iostream>
#include <optional>

#include "tests/support/bare_daemon.h"
#include "tests/support/loop_disk.h"

namespace buildwarden::testing {
namespace {

constexpr const char* kMarks =
    "min_free: 16MiB, min_free_inodes: 100, reclaim_below: 10%, reclaim_to: 12%, ballast: 1GiB";
constexpr uid_t kUser = 2000;
constexpr std::int64_t kMiB = 1'048'576;

class OnOneDisk : public BareDaemonFixture {
 protected:
  void SetUp() override {
    BareDaemonFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    disk_.emplace(dir() + "/disk.img", mounts() + "/disk", type());
    work_ = disk_->folder() + "/work";
    const auto made = run_shell("mkdir " + work_ + " " + disk_->folder() + "/docker; chmod 777 " + work_);
    ASSERT_EQ(made.exit_code, 0) << made.out;
  }
  void TearDown() override {
    kill();
    disk_.reset();
    BareDaemonFixture::TearDown();
  }
  [[nodiscard]] virtual std::string type() const { return "ext4"; }

  void start_here(const std::string& disk = kMarks) {
    start({.disk = "watch: [ { path: " + folder() + ", gate: true } ], " + disk,
           .state = folder() + "/state",
           .data_root = folder() + "/docker"});
  }
  [[nodiscard]] std::int64_t ballast_on_disk() const {
    struct stat info{};
    return ::stat(file().c_str(), &info) == 0 ? static_cast<std::int64_t>(info.st_blocks) * 512 : 0;
  }
  void wait_for_ballast() {
    const auto there = [this] { return ballast_on_disk() > kMiB && !shows(folder(), ".ballast_bytes", "0"); };
    ASSERT_TRUE(eventually(there)) << query("/v1/disk", ".");
  }
  void wait_for_level(const std::string& level) {
    ASSERT_TRUE(eventually([&] { return shows(folder(), ".level", level); })) << query("/v1/disk", ".");
  }
  void wait_for_event(const std::string& kind, int count) {
    ASSERT_TRUE(eventually([&] { return events(kind) == count; })) << kind << " " << log();
  }
  // On the disk, of what the daemon keeps beside the ballast.
  [[nodiscard]] std::int64_t state_on_disk() const {
    return std::stoll(run_shell("du -sB1 --exclude=ballast " + folder() + "/state | cut -f1").out);
  }
  [[nodiscard]] const std::string& folder() const { return disk_->folder(); }
  [[nodiscard]] std::string file() const { return folder() + "/state/ballast"; }
  [[nodiscard]] const std::string& work() const { return work_; }

 private:
  std::optional<LoopDisk> disk_;
  std::string work_;
};

class FullDisk : public OnOneDisk, public ::testing::WithParamInterface<const char*> {
 protected:
  [[nodiscard]] std::string type() const override { return GetParam(); }
};

TEST_P(FullDisk, FilledByAUserTheBallastIsGivenBackAndMadeAgain) {
  start_here();
  wait_for_ballast();
  const auto before = free_space(folder());
  std::optional<Filler> filler(std::in_place, work(), kUser);
  filler->fill();
  wait_for_event("ballast.given", 1);
  std::cout << type() << ": " << before.to_all << " B free before, then " << last_event("ballast.given") << "\n";
  EXPECT_EQ(ballast_on_disk(), 0);
  // Of XFS some time after statvfs shows it.
  CommandResult written;
  const auto writes = [&] {
    written = run_shell("setpriv --reuid 2000 --regid 2000 --clear-groups head -c 1M /dev/zero > " + work() + "/after");
    return written.exit_code == 0;
  };
  EXPECT_TRUE(eventually(writes)) << "what was given back can be written: " << written.out;
  EXPECT_EQ(events("ballast.given"), 1);
  filler.reset();
  wait_for_ballast();
  EXPECT_EQ(events("ballast.made"), 2);
  wait_for_level("ok");
  EXPECT_EQ(stop(), 0);
}

TEST_P(FullDisk, WithABallastFromBeforeItIsGivenBackAtTheStart) {
  start_here();
  wait_for_ballast();
  kill();
  std::optional<Filler> user(std::in_place, work(), kUser);
  std::optional<Filler> root(std::in_place, work(), 0);
  user->fill();
  root->fill();
  std::cout << type() << ": f_bfree " << free_space(folder()).to_root << ", f_bavail " << free_space(folder()).to_all
            << "\n";
  EXPECT_LT(free_space(folder()).to_root, 5 * kMiB);
  const auto state_before = state_on_disk();
  start_here();
  wait_for_event("ballast.given", 1);
  EXPECT_EQ(ballast_on_disk(), 0);
  // XFS gives blocks back some time after the file is gone; the daemon's own files may grow into them.
  EXPECT_TRUE(eventually([&] { return free_space(folder()).to_root + state_on_disk() - state_before > 5 * kMiB; }));
  user.reset();
  root.reset();
  wait_for_ballast();
  EXPECT_EQ(stop(), 0);
}

TEST_P(FullDisk, WithNothingLeftForRootItStartsAnswersKeepsItsJobsAndStops) {
  start_here();
  wait_for_ballast();
  EXPECT_EQ(curl("/v1/jobs", "-f -d '{\"id\":\"job-1\"}'").exit_code, 0);
  std::optional<Filler> user(std::in_place, work(), kUser);
  std::optional<Filler> root(std::in_place, work(), 0);
  user->fill();
  wait_for_event("ballast.given", 1);
  root->fill();
  wait_for_level("exhausted");
  EXPECT_EQ(query("/v1/jobs", ".jobs[].id"), "job-1");
  EXPECT_EQ(stop(), 0);
  start_here();
  wait_for_level("exhausted");
  EXPECT_EQ(query("/v1/jobs", ".jobs[].id"), "job-1");
  kill();
  start_here();
  EXPECT_EQ(query("/v1/jobs", ".jobs[].id"), "job-1");
  // The journal is kept on the full disk as well; nothing more was given, since there was nothing.
  wait_for_event("ballast.given", 1);
  user.reset();
  root.reset();
  wait_for_ballast();
  EXPECT_EQ(stop(), 0);
}

TEST_P(FullDisk, OnADiskThatWasFullBeforeTheFirstStartItWorksToo) {
  std::optional<Filler> user(std::in_place, work(), kUser);
  std::optional<Filler> root(std::in_place, work(), 0);
  user->fill();
  root->fill();
  start_here();
  wait_for_level("exhausted");
  user.reset();
  root.reset();
  wait_for_level("ok");
  const auto held = [this] { return !shows(folder(), ".ballast_bytes", "0"); };
  EXPECT_TRUE(eventually(held)) << query("/v1/disk", ".");
  EXPECT_EQ(stop(), 0);
}

// The default of ext4 on 320 MiB: 20,480 inodes.
TEST_F(OnOneDisk, InodesThatRunOutAreALevelAndCostNoBallast) {
  start_here("min_free: 16MiB, min_free_inodes: 5000, reclaim_below: 10%, reclaim_to: 12%, ballast: 1GiB");
  wait_for_ballast();
  const auto leave = [this](std::int64_t left) {
    const auto many = std::to_string(free_space(folder()).inodes - left);
    const auto made = run_shell("mkdir -p " + work() + "/many && cd " + work() + "/many && seq -f f%.0f-$RANDOM " +
                                many + " | xargs -r touch");
    ASSERT_EQ(made.exit_code, 0) << made.out;
  };
  leave(6000);
  wait_for_level("low");
  EXPECT_EQ(of_disk(folder(), ".rule"), "inodes_below_low");
  leave(4000);
  wait_for_level("critical");
  EXPECT_EQ(of_disk(folder(), ".rule"), "inodes_below_critical");
  leave(0);
  wait_for_level("exhausted");
  EXPECT_EQ(of_disk(folder(), ".rule"), "inodes_exhausted");
  EXPECT_EQ(of_disk(folder(), ".free_inodes"), "0");
  EXPECT_GT(ballast_on_disk(), kMiB) << "its bytes would help nobody";
  EXPECT_EQ(events("ballast.given"), 0);
  run_shell("rm -rf " + work() + "/many");
  wait_for_level("ok");
  EXPECT_EQ(stop(), 0);
}

INSTANTIATE_TEST_SUITE_P(Filesystems, FullDisk, ::testing::Values("ext4", "xfs"),
                         [](const auto& type) { return std::string(type.param); });

}  // namespace
}  // namespace buildwarden::testing
