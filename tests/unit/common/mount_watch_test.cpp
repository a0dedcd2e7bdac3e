#include "common/mount_watch.h"

#include <gtest/gtest.h>

#include <sched.h>
#include <sys/mount.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <string>
#include <thread>

#include "tests/support/loop.h"
#include "tests/support/temp_folder.h"

namespace buildwarden {
namespace {

// In a mount namespace of its own, so that neither this machine's mounts count nor ours are seen.
void follow_mounts(const std::string& folder, bool* possible) {
  *possible =
      ::unshare(CLONE_FS | CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  if (!*possible) return;
  boost::asio::io_context loop;
  int changes = 0;
  MountWatch watch(loop.get_executor(), [&] { ++changes; }, "/proc/thread-self/mountinfo");
  ASSERT_EQ(watch.problem(), "");
  const testing::Background running(loop, watch.run());
  const auto rest = [&] {
    boost::asio::steady_timer timer(loop, std::chrono::milliseconds{100});
    bool over = false;
    timer.async_wait([&](const boost::system::error_code&) { over = true; });
    testing::run_until(loop, [&] { return over; });
  };
  rest();
  EXPECT_EQ(changes, 0);
  ASSERT_EQ(::mount("none", folder.c_str(), "tmpfs", 0, "size=64k"), 0);
  testing::run_until(loop, [&] { return changes == 1; });
  rest();
  EXPECT_EQ(changes, 1) << "told once, and the loop rests again";
  ASSERT_EQ(::umount(folder.c_str()), 0);
  testing::run_until(loop, [&] { return changes == 2; });
  watch.stop();
  testing::run_until(loop, [&] { return running.ended(); });
}

TEST(MountWatch, TellsMountsAndUnmounts) {
  const testing::TempFolder folder;
  bool possible = false;
  std::thread thread([&] { EXPECT_NO_THROW(follow_mounts(folder.path(), &possible)); });
  thread.join();
  if (!possible) GTEST_SKIP() << "needs root";
}

}  // namespace
}  // namespace buildwarden
