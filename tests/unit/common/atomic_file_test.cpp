#include "common/atomic_file.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

namespace buildwarden {
namespace {

namespace fs = std::filesystem;

class AtomicFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "bwfile.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  static mode_t mode_of(const std::string& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777U : 0;
  }

  fs::path folder_;
};

TEST_F(AtomicFile, WritesAndReplaces) {
  ASSERT_TRUE(write_file_atomically(path("a"), "one"));
  ASSERT_TRUE(write_file_atomically(path("a"), "two"));
  EXPECT_EQ(*read_file(path("a")), "two");
  EXPECT_EQ(entries(), 1U) << "a temporary file was left behind";
}

// A writer was killed between its first byte and the renaming.
TEST_F(AtomicFile, AHalfThatWasLeftIsUsedUpByTheNextWriter) {
  const auto half = path("a") + ".tmp";
  ASSERT_TRUE(write_file_atomically(half, "longer than what is written next", 0600));
  ASSERT_TRUE(write_file_atomically(path("a"), "new", 0644));
  EXPECT_EQ(*read_file(path("a")), "new");
  EXPECT_EQ(mode_of(path("a")), 0644U);
  EXPECT_EQ(entries(), 1U);
}

TEST_F(AtomicFile, OfSeveralWritersAtOnceEachWritesAWholeFile) {
  std::atomic<int> failures = 0;
  {
    std::vector<std::jthread> writers;
    for (std::size_t writer = 1; writer <= 4; ++writer) {
      writers.emplace_back([this, writer, &failures] {
        const std::string content(writer * 5'000, static_cast<char>('a' + writer));
        for (int i = 0; i < 50; ++i) failures += write_file_atomically(path("a"), content) ? 0 : 1;
      });
    }
    for (int i = 0; i < 200; ++i) {
      const auto seen = read_file(path("a"));
      if (!seen) continue;  // the first is not there yet
      EXPECT_EQ(seen->find_first_not_of(seen->front()), std::string::npos);
      EXPECT_EQ(seen->size(), static_cast<std::size_t>(seen->front() - 'a') * 5'000);
    }
  }
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(entries(), 1U);
}

TEST_F(AtomicFile, TheModeIsAsGivenWhateverTheUmask) {
  const auto before = ::umask(0077);
  ASSERT_TRUE(write_file_atomically(path("open"), "", 0664));
  ::umask(0);
  ASSERT_TRUE(write_file_atomically(path("secret"), "", 0600));
  ::umask(before);
  EXPECT_EQ(mode_of(path("open")), 0664U);
  EXPECT_EQ(mode_of(path("secret")), 0600U);
}

TEST_F(AtomicFile, AWriterThatRunsOutOfRoomKeepsTheOldFile) {
  ASSERT_TRUE(write_file_atomically(path("a"), "old"));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 4096;
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto written = write_file_atomically(path("a"), std::string(10'000, 'x'));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  (void)std::signal(SIGXFSZ, handler);
  EXPECT_FALSE(written.ok());
  EXPECT_EQ(*read_file(path("a")), "old");
  EXPECT_EQ(entries(), 1U) << "a temporary file was left behind";
}

TEST_F(AtomicFile, WithoutAFolderItIsNotFound) {
  const auto written = write_file_atomically(path("none/a"), "x");
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code(), Errc::kNotFound);
}

TEST_F(AtomicFile, OverAFolderItFailsAndCleansUp) {
  ASSERT_TRUE(make_folders(path("a/b")));
  EXPECT_FALSE(write_file_atomically(path("a"), "x").ok());
  EXPECT_EQ(entries(), 1U);
}

TEST_F(AtomicFile, ALinkIsReplacedAndNotFollowed) {
  ASSERT_TRUE(write_file_atomically(path("victim"), "untouched"));
  fs::create_symlink(path("victim"), path("a"));
  ASSERT_TRUE(write_file_atomically(path("a"), "new"));
  EXPECT_EQ(*read_file(path("victim")), "untouched");
  EXPECT_FALSE(fs::is_symlink(path("a")));
}

TEST_F(AtomicFile, ReadsUpToTheLimit) {
  ASSERT_TRUE(write_file_atomically(path("a"), std::string(100'000, 'x')));
  EXPECT_EQ(read_file(path("a"), 100'000)->size(), 100'000U);
  const auto beyond = read_file(path("a"), 99'999);
  ASSERT_FALSE(beyond.ok());
  EXPECT_EQ(beyond.error().code(), Errc::kTooLarge);
}

TEST_F(AtomicFile, AbsentIsNotFoundAndAFolderIsAnError) {
  EXPECT_EQ(read_file(path("none")).error().code(), Errc::kNotFound);
  EXPECT_FALSE(read_file(folder_.string()).ok());
}

TEST_F(AtomicFile, MakesFoldersWithTheirParents) {
  ASSERT_TRUE(make_folders(path("a/b/c"), 0700));
  ASSERT_TRUE(make_folders(path("a/b/c"), 0700)) << "once more is fine";
  ASSERT_TRUE(make_folders(path("a/b/d/"), 0700));
  EXPECT_EQ(mode_of(path("a")), 0700U);
  EXPECT_EQ(mode_of(path("a/b/c")), 0700U);
  EXPECT_TRUE(fs::is_directory(path("a/b/d")));
}

TEST_F(AtomicFile, AFileInTheWayIsAConflict) {
  ASSERT_TRUE(write_file_atomically(path("a"), ""));
  const auto made = make_folders(path("a/b"));
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code(), Errc::kConflict);
}

}  // namespace
}  // namespace buildwarden
