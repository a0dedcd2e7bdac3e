// Rung 1 and the ballast against a job, a real process of uid 2000, that leads root to where only root may enter.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "common/trash.h"
#include "daemon/ballast/ballast_file.h"
#include "daemon/evictors/cache_dirs.h"
#include "daemon/evictors/docker_configs.h"
#include "daemon/evictors/trash_folders.h"
#include "daemon/filesystems/path_stat.h"
#include "tests/support/hostile_user.h"
#include "tests/support/later_clock.h"
#include "tests/support/run_void.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::disk {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using ::testing::HasSubstr;
using testing::kJobUser;
using testing::run_on;

class OneLeft final : public ports::LeftFolders {
 public:
  [[nodiscard]] std::vector<ports::JobFolder> left_folders() const override { return folders; }
  void forget_folder(const ports::JobFolder&) override { folders.clear(); }
  std::vector<ports::JobFolder> folders;
};

class HostileFolders : public ::testing::Test {
 protected:
  HostileFolders() {
    if (::geteuid() != 0) return;
    root_ = fs::canonical(folder_.path()).string();
    home_ = root_ + "/home";
    target_ = root_ + "/target";
    settings_.disk.cache_dirs = {home_ + "/cache"};
    settings_.paths.state = root_ + "/state";
    settings_.paths.builds = root_ + "/builds";
    for (const auto& path : {home_ + "/cache", target_, root_ + "/state"}) fs::create_directories(path);
    write(target_ + "/keys/precious");
    write(target_ + "/file");
    EXPECT_EQ(::chmod(target_.c_str(), 0700), 0);
    EXPECT_EQ(::chmod(root_.c_str(), 0755), 0);
    for (const auto& path : {home_, home_ + "/cache"}) EXPECT_EQ(::chown(path.c_str(), kJobUser, kJobUser), 0);
  }
  ~HostileFolders() override { ::umount2((home_ + "/cache").c_str(), MNT_DETACH); }
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be another user";
  }
  static void write(const std::string& path) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << std::string(5'000, 'x');
  }
  // A cache folder of its own, in which nobody but the job may write, and which nobody may rename.
  void bind() const {
    const auto cache = home_ + "/cache";
    ASSERT_EQ(::mount(cache.c_str(), cache.c_str(), nullptr, MS_BIND, nullptr), 0);
  }
  std::vector<policy::Candidate> list(ports::Evictor& rung) {
    auto listed = run_on(loop_, rung.list(turn_));
    EXPECT_TRUE(listed) << listed.error().message();
    return listed ? *listed : std::vector<policy::Candidate>{};
  }
  void evict_all(ports::Evictor& rung) {
    for (const auto& one : list(rung)) EXPECT_TRUE(run_on(loop_, rung.evict(one, turn_)));
  }
  void expect_all_is_there() const {
    EXPECT_TRUE(fs::exists(target_ + "/keys/precious"));
    EXPECT_TRUE(fs::exists(target_ + "/file"));
    EXPECT_FALSE(fs::exists(target_ + "/" + kTrashName));
  }

  testing::TempFolder folder_;
  std::string root_;
  std::string home_;
  std::string target_;
  Settings settings_;
  testing::LaterClock clock_{hours{5}};
  boost::asio::io_context loop_;
  WorkerPool workers_{1};
  OneLeft left_;
  CacheDirs caches_{CacheDirs::Parts{settings_, clock_, workers_,
                                     [] { return std::vector<std::string>{"/var/lib/docker"}; }, [] { return true; }}};
  TrashFolders own_{TrashFolders::Parts{settings_, clock_, workers_}};
  DockerConfigs jobs_{DockerConfigs::Parts{clock_, workers_, left_}};
  policy::RungTurn turn_{policy::RungId::kLeftovers, 1, hours{4}};
};

TEST_F(HostileFolders, ALinkInThePlaceOfACacheFolderLeadsNowhere) {
  ASSERT_TRUE(testing::as_user(kJobUser, [this] {
    const auto cache = home_ + "/cache";
    return ::rename(cache.c_str(), (home_ + "/c2").c_str()) == 0 && ::symlink(target_.c_str(), cache.c_str()) == 0;
  }));
  evict_all(caches_);
  expect_all_is_there();
}

TEST_F(HostileFolders, NorDoesOneThatComesBetweenThePlanAndTheDeletion) {
  ASSERT_EQ(::chown(home_.c_str(), 0, 0), 0);
  write(home_ + "/cache/keys/precious");
  const auto planned = list(caches_);
  ASSERT_EQ(planned.size(), 1U);
  // As if the operator gave the folder above away meanwhile; it has what the plan names, as old and as large.
  ASSERT_EQ(::chown(home_.c_str(), kJobUser, kJobUser), 0);
  ASSERT_TRUE(testing::as_user(kJobUser, [this] {
    const auto cache = home_ + "/cache";
    return ::rename(cache.c_str(), (home_ + "/c2").c_str()) == 0 && ::symlink(target_.c_str(), cache.c_str()) == 0;
  }));
  EXPECT_TRUE(run_on(loop_, caches_.evict(planned[0], turn_)));
  expect_all_is_there();
  EXPECT_FALSE(fs::exists(home_ + "/c2/keys")) << "it goes where it lies by now";
}

TEST_F(HostileFolders, OneThatTheJobCouldRenameAwayIsRefusedWithTheCure) {
  write(home_ + "/cache/one/file");
  const auto all = list(caches_);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_THAT(all[0].protected_as, HasSubstr("belongs to uid 2000, who could put a link in the place of"));
  evict_all(caches_);
  EXPECT_TRUE(fs::exists(home_ + "/cache/one/file"));
  bind();
  evict_all(caches_);
  EXPECT_FALSE(fs::exists(home_ + "/cache/one"));
}

// What was left in the trash goes at each start; meanwhile it and a link to the target change places.
TEST_F(HostileFolders, ATrashThatIsExchangedForALinkLeadsNowhere) {
  bind();
  const auto trash = home_ + "/cache/" + kTrashName;
  const auto link = home_ + "/cache/link";
  fs::create_directory(trash);
  ASSERT_EQ(::chmod(trash.c_str(), 0700), 0);
  ASSERT_TRUE(testing::as_user(kJobUser, [&] { return ::symlink(target_.c_str(), link.c_str()) == 0; }));
  const testing::RestlessUser job(kJobUser, [&] { testing::exchange(trash, link); });
  for (int round = 0; round < 2'000; ++round) evict_all(own_);
  expect_all_is_there();
}

TEST_F(HostileFolders, AJobFolderInAFolderThatTheJobCouldExchangeIsForgottenAndStays) {
  const auto path = home_ + "/tmp/tmp.0123456789";
  write(path + "/config.json");
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  left_.folders.push_back({.path = path, .device = info.st_dev, .inode = info.st_ino, .uid = 0, .ended = {}});
  EXPECT_TRUE(list(jobs_).empty());
  EXPECT_TRUE(left_.folders.empty());
  EXPECT_TRUE(fs::exists(path + "/config.json"));
}

// The daemon's own ballast lies in the target; the job's link leads there.
TEST_F(HostileFolders, ALinkOfTheJobsLeadsToNoBallast) {
  BallastWork work;
  const PathStatReader read(std::make_shared<MountTable>("/proc/self/mountinfo"));
  const auto snapshot = read(root_);
  ASSERT_TRUE(snapshot);
  work.key = snapshot->key;
  work.places = {{target_, false}};
  work.act = policy::BallastAct::kMake;
  work.size = kMiB;
  const auto made = work_on_ballast(work);
  if (!made && made.error().code() == Errc::kInvalid) GTEST_SKIP() << made.error().message();
  ASSERT_TRUE(made) << made.error().message();
  const auto link = home_ + "/link";
  ASSERT_TRUE(testing::as_user(kJobUser, [&] { return ::symlink(target_.c_str(), link.c_str()) == 0; }));
  work.places = {{link, false}};
  work.act = policy::BallastAct::kGive;
  EXPECT_FALSE(work_on_ballast(work));
  EXPECT_TRUE(fs::exists(target_ + "/ballast"));
}

}  // namespace
}  // namespace buildwarden::disk
