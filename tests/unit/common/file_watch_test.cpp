#include "common/file_watch.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/loop.h"
#include "tests/support/temp_folder.h"

namespace buildwarden {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

// Whether an inotify of this process watches `folder`.
bool is_watched(const std::string& folder) {
  struct stat info{};
  if (::stat(folder.c_str(), &info) != 0) return false;
  std::ostringstream inode;
  inode << " ino:" << std::hex << info.st_ino << ' ';
  for (const auto& file : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream lines(file.path());
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("inotify ") && line.find(inode.str()) != std::string::npos) return true;
    }
  }
  return false;
}

// Counts what next() told.
class Follower {
 public:
  Follower(asio::io_context& loop, FileWatch& watch) : watch_(watch), running_(loop, follow()) {}
  [[nodiscard]] bool ended() const { return running_.ended(); }
  int changes = 0;
  int nothings = 0;

 private:
  asio::awaitable<void> follow() {
    while (!ending) {
      const bool changed = co_await watch_.next();
      if (ending) co_return;
      ++(changed ? changes : nothings);
    }
  }
  FileWatch& watch_;
  testing::Background running_;

 public:
  bool ending = false;
};

class FileWatchTest : public ::testing::Test {
 protected:
  ~FileWatchTest() override {
    if (!follower_) return;
    follower_->ending = true;
    watch_->stop();
    testing::run_until(loop_, [&] { return follower_->ended(); });
    loop_.run();
  }
  void start(std::vector<std::string> files, Duration backstop = 1h) {
    watch_ = std::make_unique<FileWatch>(loop_.get_executor(), workers_, FileWatchTimes{20ms, backstop, 2s});
    watch_->watch(std::move(files));
    follower_ = std::make_unique<Follower>(loop_, *watch_);
    testing::run_until(loop_, [&] { return follower_->changes == 1; });
    EXPECT_EQ(watch_->problem(), "");
  }
  void expect_change() {
    const int before = follower_->changes;
    testing::run_until(loop_, [&] { return follower_->changes > before; });
  }
  // For long enough that a notice would have been told.
  void expect_no_change() {
    const int before = follower_->changes;
    asio::steady_timer timer(loop_, 150ms);
    bool over = false;
    timer.async_wait([&](const boost::system::error_code&) { over = true; });
    testing::run_until(loop_, [&] { return over; });
    EXPECT_EQ(follower_->changes, before);
  }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  [[nodiscard]] std::string in(const std::string& name) const { return folder_.path() + "/" + name; }

  testing::TempFolder folder_;
  asio::io_context loop_;
  WorkerPool workers_{1};
  std::unique_ptr<FileWatch> watch_;
  std::unique_ptr<Follower> follower_;
};

TEST_F(FileWatchTest, MadeWrittenReplacedAndRemoved) {
  start({in("a"), in("b")});
  write(in("a"), "1");
  expect_change();
  write(in("a"), "22");
  expect_change();
  write(in("b.new"), "x");
  expect_no_change();
  std::filesystem::rename(in("b.new"), in("b"));
  expect_change();
  std::filesystem::remove(in("a"));
  expect_change();
  ASSERT_EQ(::chmod(in("b").c_str(), 0640), 0);
  expect_change();
}

TEST_F(FileWatchTest, OthersInTheFolderAndReadersAreNoChange) {
  write(in("a"), "1");
  start({in("a")});
  write(in("other"), "2");
  std::filesystem::remove(in("other"));
  std::string text;
  std::ifstream(in("a")) >> text;
  expect_no_change();
}

TEST_F(FileWatchTest, WhatHappensInFoldersOnTheWayWakesNobody) {
  std::filesystem::create_directories(in("x/y"));
  start({in("x/y/a")});
  loop_.poll();
  for (const auto& other : {in("other"), in("x/other")}) {
    write(other, "2");
    std::filesystem::remove(other);
  }
  EXPECT_EQ(loop_.poll(), 0U);
  write(in("x/y/a"), "1");
  expect_change();
  std::filesystem::rename(in("x"), in("away"));
  expect_change();
}

TEST_F(FileWatchTest, AFolderOnTheWayThatIsALinkIsMadeToPointElsewhere) {
  for (const auto* where : {"one", "two"}) {
    std::filesystem::create_directories(in(where) + "/sub");
    write(in(where) + "/sub/a", where);
  }
  std::filesystem::create_directory_symlink(in("one"), in("link"));
  start({in("link/sub/a")});
  std::filesystem::create_directory_symlink(in("two"), in("link.new"));
  std::filesystem::rename(in("link.new"), in("link"));
  expect_change();
}

TEST_F(FileWatchTest, FoldersThatAppearLaterAndGoAgain) {
  start({in("x/y/z/a")});
  std::filesystem::create_directories(in("x/y"));
  std::filesystem::create_directories(in("x/other"));
  expect_no_change();
  std::filesystem::create_directories(in("x/y/z"));
  write(in("x/y/z/a"), "1");
  expect_change();
  std::filesystem::rename(in("x/y"), in("x/away"));
  expect_change();
  std::filesystem::create_directories(in("x/y/z"));
  write(in("x/y/z/a"), "2");
  expect_change();
  std::filesystem::remove_all(in("x"));
  expect_change();
}

TEST_F(FileWatchTest, AFolderThatIsReplacedByAnother) {
  std::filesystem::create_directories(in("x"));
  std::filesystem::create_directories(in("new"));
  write(in("x/a"), "1");
  write(in("new/a"), "2");
  start({in("x/a")});
  std::filesystem::rename(in("x"), in("old"));
  std::filesystem::rename(in("new"), in("x"));
  expect_change();
  write(in("old/a"), "3");
  expect_no_change();
  write(in("x/a"), "4");
  expect_change();
}

TEST_F(FileWatchTest, ABurstIsOneChange) {
  start({in("a")});
  for (int i = 0; i < 50; ++i) write(in("a"), std::string(static_cast<std::size_t>(i), 'x'));
  expect_change();
  expect_no_change();
  EXPECT_EQ(follower_->changes, 2);
}

TEST_F(FileWatchTest, TheBackstopSeesWhatNoNoticeTells) {
  std::filesystem::create_directories(in("far"));
  write(in("far/a"), "1");
  std::filesystem::create_symlink(in("far/a"), in("a"));  // the folder of what it points to is not watched
  start({in("a")}, 50ms);
  write(in("far/a"), "22");
  expect_change();
}

// Its end is told when nobody has it open any more; and nothing says that there is another by its name.
TEST_F(FileWatchTest, TheBackstopFollowsAFolderThatSomebodyHadOpen) {
  std::filesystem::create_directories(in("x/y"));
  start({in("x/y/a")}, 50ms);
  const UniqueFd somebody(::open(in("x/y").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::filesystem::remove(in("x/y"));
  std::filesystem::create_directories(in("x/y"));
  testing::run_until(loop_, [&] { return is_watched(in("x/y")); });
  EXPECT_EQ(follower_->changes, 1);
}

TEST_F(FileWatchTest, LooksAndReturnsWhenAsked) {
  start({in("a")});
  watch_->look_again();
  testing::run_until(loop_, [&] { return follower_->nothings == 1; });
  EXPECT_EQ(follower_->changes, 1);
}

TEST_F(FileWatchTest, OtherFilesFromNowOn) {
  start({in("a")});
  watch_->watch({in("sub/b")});
  expect_change();
  write(in("a"), "1");
  expect_no_change();
  std::filesystem::create_directories(in("sub"));
  write(in("sub/b"), "1");
  expect_change();
}

TEST_F(FileWatchTest, StopsWhileItWaits) {
  start({in("a")});  // the destructor waits for the end
  EXPECT_FALSE(follower_->ended());
}

}  // namespace
}  // namespace buildwarden
