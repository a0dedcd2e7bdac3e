// Of real mounts that come and go, each test in a mount namespace of its own.
#include "daemon/filesystems/path_stat.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "common/atomic_file.h"
#include "common/unique_fd.h"
#include "daemon/filesystems/filesystem_table.h"
#include "tests/support/fake_clock.h"
#include "tests/support/hostile_user.h"
#include "tests/support/run_void.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::disk {
namespace {

constexpr Bytes kSmall = kMiB;  // of the tmpfs that is mounted, and of nothing else here

bool mount_small(const std::string& folder) { return ::mount("none", folder.c_str(), "tmpfs", 0, "size=1m") == 0; }
bool unmount(const std::string& folder) { return ::umount(folder.c_str()) == 0; }

// Mounts and unmounts in turn, each once it is asked to, while whoever asks goes on.
class Mounter {
 public:
  explicit Mounter(const std::string& folder)
      : thread_([this, folder] {
          for (int done = 0; done != kEnd;) {
            asked_.wait(done);
            const int asked = asked_;
            for (; asked != kEnd && done < asked; ++done) change(folder, done % 2 == 0);
            if (asked == kEnd) done = kEnd;
          }
        }) {}
  ~Mounter() {
    asked_ = kEnd;
    asked_.notify_one();
    thread_.join();
  }
  Mounter(const Mounter&) = delete;
  Mounter& operator=(const Mounter&) = delete;

  void ask() {
    ++asked_;
    asked_.notify_one();
  }

 private:
  static constexpr int kEnd = -1;
  static void change(const std::string& folder, bool to_mounted) {
    EXPECT_TRUE(to_mounted ? mount_small(folder) : ::umount2(folder.c_str(), MNT_DETACH) == 0);
  }

  std::atomic<int> asked_ = 0;
  std::thread thread_;
};

class PathStatReaderTest : public ::testing::Test {
 protected:
  // On a thread whose mounts nobody else sees, which still lets go of what others unmount; threads begun there share
  // them.
  void apart(const std::function<void()>& test) {
    bool possible = false;
    std::thread([&] {
      possible =
          ::unshare(CLONE_FS | CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0;
      if (possible) EXPECT_NO_THROW(test());
    }).join();
    if (!possible) GTEST_SKIP() << "needs root";
  }

  testing::TempFolder temp_;
  std::string folder_ = std::filesystem::canonical(temp_.path()).string();
  std::shared_ptr<MountTable> table_ = std::make_shared<MountTable>("/proc/thread-self/mountinfo");
  PathStatReader read_{table_};
};

TEST_F(PathStatReaderTest, MeasuresAFolderAndNeverMakesOne) {
  const auto link = folder_ + "/link";
  std::filesystem::create_symlink(folder_, link);
  const auto snapshot = read_(link);
  ASSERT_TRUE(snapshot);
  EXPECT_GT(snapshot->total, 0);
  EXPECT_LE(snapshot->free, snapshot->total);
  EXPECT_EQ(snapshot->resolved, folder_);
  const auto absent = read_(folder_ + "/absent");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code(), Errc::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/absent"));
}

// A job moved its builds away and put a link there: it chose which filesystem gates jobs and ends the instance.
TEST_F(PathStatReaderTest, MeasuresThroughNoLinkOfAnotherUsers) {
  const auto home = folder_ + "/home";
  std::filesystem::create_directory(home);
  ASSERT_EQ(::chmod(folder_.c_str(), 0755), 0);
  ASSERT_EQ(::chown(home.c_str(), testing::kJobUser, testing::kJobUser), 0);
  ASSERT_TRUE(testing::as_user(testing::kJobUser, [&] { return ::mkdir((home + "/builds").c_str(), 0755) == 0; }));
  EXPECT_TRUE(read_(home + "/builds"));
  ASSERT_TRUE(testing::as_user(testing::kJobUser, [&] {
    const auto builds = home + "/builds";
    return ::rename(builds.c_str(), (home + "/b2").c_str()) == 0 && ::symlink("/dev/shm", builds.c_str()) == 0;
  }));
  const auto lured = read_(home + "/builds");
  ASSERT_FALSE(lured);
  EXPECT_EQ(lured.error().code(), Errc::kConflict);
  EXPECT_NE(lured.error().message().find("is a link of uid 2000"), std::string::npos) << lured.error().message();
}

// Read again and again, until the change is seen that was asked for meanwhile.
TEST_F(PathStatReaderTest, DeviceMountAndNumbersBelongTogetherWhileMountsComeAndGo) {
  apart([this] {
    const auto below = read_(folder_);
    ASSERT_TRUE(below && below->home);
    Mounter mounter(folder_);
    for (int change = 0; change < 200; ++change) {
      const bool to_small = change % 2 == 0;
      mounter.ask();
      for (bool is_small = !to_small; is_small != to_small;) {
        const auto snapshot = read_(folder_);
        if (!snapshot) {
          ASSERT_EQ(snapshot.error().code(), Errc::kConflict) << snapshot.error().message();
          continue;
        }
        is_small = snapshot->total == kSmall;
        ASSERT_TRUE(snapshot->home);
        ASSERT_EQ(snapshot->home->mount_point, is_small ? folder_ : below->home->mount_point);
        ASSERT_EQ(snapshot->home->device, device_label(snapshot->key.device));
        ASSERT_EQ(snapshot->key == below->key, !is_small);
        ASSERT_EQ(snapshot->total, is_small ? kSmall : below->total);
      }
    }
  });
}

// Where statx(2) does not say it.
TEST_F(PathStatReaderTest, TheMountIsTheOneThatTheDescriptorIsSaidToLieOn) {
  const auto snapshot = read_("/proc");
  ASSERT_TRUE(snapshot && snapshot->home);
  const UniqueFd folder(::open("/proc", O_PATH | O_CLOEXEC));
  const auto text = read_file("/proc/self/fdinfo/" + std::to_string(folder.get()));
  ASSERT_TRUE(text);
  EXPECT_EQ(mount_id_in(*text), snapshot->home->id);
}

TEST_F(PathStatReaderTest, HoldsNothingThatItHasRead) {
  apart([this] {
    for (int times = 0; times < 3; ++times) {
      ASSERT_TRUE(mount_small(folder_));
      const auto snapshot = read_(folder_);
      ASSERT_TRUE(snapshot);
      EXPECT_EQ(snapshot->total, kSmall);
      EXPECT_TRUE(unmount(folder_)) << "busy";
    }
  });
}

// The mount comes after the reader has read the table, and goes in the same moment.
TEST_F(PathStatReaderTest, AFilesystemIsNamedByTheMountThatItWasMeasuredOn) {
  apart([this] {
    const auto below = read_(folder_);
    ASSERT_TRUE(below && below->home);
    Settings settings;
    settings.disk.watch = {WatchedPath{folder_, true}};
    const testing::FakeClock clock;
    boost::asio::io_context loop;
    std::function<bool(const std::string&)> first;
    const auto read = [&](const std::string& path) {
      if (path == folder_) EXPECT_TRUE(first(folder_));
      return read_(path);
    };
    PathSampler sampler(read, table_, {.patience = std::chrono::seconds{20}, .stale = std::chrono::seconds{20}});
    FilesystemTable filesystems({settings, clock, sampler, [this] { return EngineHome{folder_, {}, false}; }});
    const auto look = [&] {
      testing::run_void(loop, filesystems.observe(true));
      const auto views = filesystems.snapshots();
      EXPECT_EQ(views.size(), 1U);
      return views.empty() ? ports::FilesystemSnapshot{} : views.front();
    };
    first = mount_small;
    const auto above = look();
    EXPECT_EQ(above.mount, folder_);
    ASSERT_TRUE(above.reading);
    EXPECT_EQ(above.reading->total, kSmall);
    first = unmount;
    const auto again = look();
    EXPECT_EQ(again.mount, below->home->mount_point);
    EXPECT_EQ(again.device, device_label(below->key.device));
    ASSERT_TRUE(again.reading);
    EXPECT_EQ(again.reading->total, below->total);
    EXPECT_EQ(again.readings, 1U) << "what was seen of the other filesystem is no history of this one";
  });
}

}  // namespace
}  // namespace buildwarden::disk
