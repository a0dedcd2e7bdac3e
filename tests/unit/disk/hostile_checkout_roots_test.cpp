// Rung 8 against a job, a real process of uid 2000, that leads root to where only root may enter.
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "tests/support/hostile_user.h"
#include "tests/unit/disk/checkouts_fixture.h"

namespace buildwarden::disk {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::kJobUser;

// As on the stack: the agent owns its home and the builds in it; beside it lies what only root may enter, looking like
// checkouts.
class HostileBuilds : public PurgeTest {
 protected:
  HostileBuilds() {
    if (::geteuid() != 0) return;
    home_ = root_ + "/home";
    target_ = root_ + "/target";
    settings_.paths.builds = home_ + "/builds";
    fs::create_directories(path("ci-1/acme/web"));
    write(target_ + "/ci-9/acme/keys/precious");
    write(target_ + "/file");
    fs::create_directories(disk_ + "/ci-1/acme");
    EXPECT_EQ(::chmod(target_.c_str(), 0700), 0);
    EXPECT_EQ(::chmod(root_.c_str(), 0755), 0);
    give(home_);
    give(disk_);
  }
  ~HostileBuilds() override {
    for (const auto& name : {"/builds", "/b2"}) ::umount2((home_ + name).c_str(), MNT_DETACH);
  }
  static void give(const std::string& path) {
    EXPECT_EQ(::chown(path.c_str(), kJobUser, kJobUser), 0);
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      EXPECT_EQ(::lchown(entry.path().c_str(), kJobUser, kJobUser), 0);
    }
  }
  void bind() const { ASSERT_EQ(::mount(disk_.c_str(), (home_ + "/builds").c_str(), nullptr, MS_BIND, nullptr), 0); }
  // The job's own hands.
  bool swap_builds() const {
    return testing::as_user(kJobUser, [this] {
      const auto builds = home_ + "/builds";
      return ::rename(builds.c_str(), (home_ + "/b2").c_str()) == 0 && ::symlink(target_.c_str(), builds.c_str()) == 0;
    });
  }
  void evict_all() {
    for (const auto& one : list()) evict(one);
  }
  void expect_all_is_there() const {
    EXPECT_TRUE(fs::exists(target_ + "/ci-9/acme/keys/precious"));
    EXPECT_TRUE(fs::exists(target_ + "/file"));
    EXPECT_FALSE(fs::exists(target_ + "/" + kTrashName));
  }

  std::string home_;
  std::string target_;
  std::string disk_ = root_ + "/disk";  // that is mounted on the builds
};

TEST_F(HostileBuilds, ALinkInThePlaceOfTheBuildsLeadsNowhere) {
  ASSERT_TRUE(swap_builds());
  const auto all = list();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_THAT(all[0].protected_as, HasSubstr("is a link of uid 2000"));
  evict_all();
  expect_all_is_there();
}

TEST_F(HostileBuilds, NorDoesOneThatComesBetweenThePlanAndTheDeletion) {
  bind();
  make("ci-1/acme/web");
  const auto planned = list();
  ASSERT_EQ(planned.size(), 1U);
  write(target_ + "/ci-1/acme/web/precious");
  if (!testing::rename_mount_point(kJobUser, home_, "builds", "b2")) GTEST_SKIP() << "no user namespaces";
  ASSERT_EQ(::symlink(target_.c_str(), (home_ + "/builds").c_str()), 0);
  evict(planned.front());
  EXPECT_TRUE(fs::exists(target_ + "/ci-1/acme/web/precious"));
  expect_all_is_there();
  EXPECT_FALSE(fs::exists(home_ + "/b2/ci-1/acme/web")) << "it goes where it lies by now";
}

TEST_F(HostileBuilds, WhatTheJobCouldRenameAwayIsRefusedWithTheCure) {
  make("ci-1/acme/web");
  const auto all = list();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_THAT(all[0].protected_as, HasSubstr(home_ + " belongs to uid 2000"));
  EXPECT_THAT(all[0].protected_as, HasSubstr("mount --bind " + home_ + "/builds"));
  EXPECT_THAT(evict(all[0]).dropped, HasSubstr("not of the last plan"));
  EXPECT_TRUE(exists("ci-1/acme/web/src/file"));
}

TEST_F(HostileBuilds, OnAMountOfTheirOwnTheyArePurged) {
  bind();
  make("ci-1/acme/web");
  EXPECT_FALSE(swap_builds()) << "a mount point is busy";
  EXPECT_EQ(evict().dropped, "");
  EXPECT_FALSE(exists("ci-1/acme/web"));
  EXPECT_EQ(trash().size(), 0U);
}

TEST_F(HostileBuilds, ARootOnlyMountInTheirPlaceIsRefused) {
  ASSERT_EQ(::mount(target_.c_str(), (home_ + "/builds").c_str(), nullptr, MS_BIND, nullptr), 0);
  const auto all = list();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_THAT(all[0].protected_as, HasSubstr("another mount"));
  evict_all();
  expect_all_is_there();
}

// The trash and a link to the target change places all the while.
TEST_F(HostileBuilds, ATrashThatIsExchangedForALinkLeadsNowhere) {
  bind();
  ASSERT_TRUE(testing::as_user(kJobUser, [this] { return ::symlink(target_.c_str(), path("link").c_str()) == 0; }));
  make("ci-1/acme/first");
  evict();
  ASSERT_TRUE(fs::is_directory(fs::symlink_status(path(kTrashName))));
  const testing::RestlessUser job(kJobUser, [this] { testing::exchange(path(kTrashName), path("link")); });
  for (int round = 0; round < 100; ++round) {
    make("ci-1/acme/web");
    evict_all();
    ASSERT_FALSE(exists("ci-1/acme/web")) << round;
  }
  expect_all_is_there();
}

}  // namespace
}  // namespace buildwarden::disk
