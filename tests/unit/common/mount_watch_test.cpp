#include "common/mount_watch.h"

#include <gtest/gtest.h>

#include <sched.h>
#include <sys/mount.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "tests/support/loop.h"
#include "tests/support/temp_folder.h"

namespace buildwarden {
namespace {

constexpr Duration kTestQuiet{100};

// A watch on a thread that has a mount namespace of its own, so that neither this machine's mounts count nor ours are
// seen.
class WatchedMounts {
 public:
  // false: not possible without root.
  static bool has_own_mounts() {
    return ::unshare(CLONE_FS | CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  }
  ~WatchedMounts() {
    watch_.stop();
    testing::run_until(loop_, [&] { return running_.ended(); });
  }
  // Longer than the watch rests.
  void rest() {
    boost::asio::steady_timer timer(loop_, 3 * kTestQuiet);
    bool over = false;
    timer.async_wait([&](const boost::system::error_code&) { over = true; });
    testing::run_until(loop_, [&] { return over; });
  }
  void run_what_is_ready() { loop_.poll(); }
  void until_changes(int count) {
    testing::run_until(loop_, [&] { return changes_ >= count; });
  }
  [[nodiscard]] int changes() const { return changes_; }
  [[nodiscard]] const MountWatch& watch() const { return watch_; }

 private:
  boost::asio::io_context loop_;
  int changes_ = 0;
  MountWatch watch_{loop_.get_executor(), [this] { ++changes_; }, "/proc/thread-self/mountinfo", kTestQuiet};
  testing::Background running_{loop_, watch_.run()};
};

void mount_at(const std::string& folder) { ASSERT_EQ(::mount("none", folder.c_str(), "tmpfs", 0, "size=64k"), 0); }

void on_thread_with_mounts(const std::function<void()>& work) {
  bool possible = false;
  std::thread thread([&] {
    possible = WatchedMounts::has_own_mounts();
    if (possible) EXPECT_NO_THROW(work());
  });
  thread.join();
  if (!possible) GTEST_SKIP() << "needs root";
}

TEST(MountWatch, TellsMountsAndUnmounts) {
  const testing::TempFolder folder;
  on_thread_with_mounts([&folder] {
    WatchedMounts mounts;
    EXPECT_EQ(mounts.watch().problem(), "");
    mounts.rest();
    EXPECT_EQ(mounts.changes(), 0);
    mount_at(folder.path());
    mounts.until_changes(1);
    mounts.rest();
    EXPECT_EQ(mounts.changes(), 1) << "told once, and the loop rests again";
    ASSERT_EQ(::umount(folder.path().c_str()), 0);
    mounts.until_changes(2);
  });
}

// Issue 21: each mount of a storm made the whole daemon look around.
TEST(MountWatch, AStormIsLookedAtOnceInAWhileAndItsEndIsSeen) {
  const testing::TempFolder folder;
  on_thread_with_mounts([&folder] {
    WatchedMounts mounts;
    for (int i = 0; i < 20; ++i) {
      mount_at(folder.path());
      mounts.until_changes(1);
      mounts.run_what_is_ready();
      ASSERT_EQ(::umount(folder.path().c_str()), 0);
      mounts.run_what_is_ready();
    }
    mounts.until_changes(2);
    mounts.rest();
    EXPECT_EQ(mounts.changes(), 2);
    EXPECT_LE(mounts.watch().looks(), 3);
  });
}

TEST(MountWatch, WhatAContainerMountsForItselfIsNotTold) {
  const testing::TempFolder folder;
  on_thread_with_mounts([&folder] {
    WatchedMounts mounts;
    const auto shm = folder.path() + "/mounts/shm";
    std::filesystem::create_directories(shm);
    mount_at(shm);
    mounts.rest();
    EXPECT_EQ(mounts.watch().looks(), 1);
    EXPECT_EQ(mounts.changes(), 0);
    mount_at(folder.path());
    mounts.until_changes(1);
  });
}

}  // namespace
}  // namespace buildwarden
