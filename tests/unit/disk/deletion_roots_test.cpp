#include "daemon/evictors/deletion_roots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>

#include "common/trash.h"
#include "tests/support/fake_journal.h"
#include "tests/support/run_void.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::disk {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class DeletionRootsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give folders away";
    root_ = fs::canonical(folder_.path()).string();
    settings_.paths.builds = root_ + "/home/builds";
    fs::create_directories(settings_.paths.builds);
    give("/home");
  }
  void give(const std::string& name, uid_t to = 2000) { ASSERT_EQ(::chown((root_ + name).c_str(), to, to), 0); }
  std::vector<std::string> refused() {
    testing::run_void(loop_, roots_.turn());
    std::vector<std::string> paths;
    for (const auto& one : roots_.refused()) paths.push_back(one.path);
    return paths;
  }
  using Paths = std::vector<std::string>;

  testing::TempFolder folder_;
  std::string root_;
  Settings settings_;
  testing::FakeJournal journal_;
  boost::asio::io_context loop_;
  DeletionRoots roots_{{settings_, journal_}};
};

TEST_F(DeletionRootsTest, BuildsThatMayBePurgedAreLookedAtAndTheirRefusalIsToldOnce) {
  EXPECT_EQ(refused(), Paths{}) << "nobody asks to delete there";
  settings_.on_full.purge_builds = true;
  EXPECT_EQ(refused(), Paths{settings_.paths.builds});
  EXPECT_EQ(refused(), Paths{settings_.paths.builds});
  ASSERT_EQ(journal_.count("deletion.refused"), 1U);
  const auto event = journal_.last("deletion.refused");
  EXPECT_EQ(event.rule, "paths.builds");
  EXPECT_EQ(event.severity, ports::Severity::kWarning);
  EXPECT_THAT(event.reason, HasSubstr("mount --bind"));
  give("/home", 0);
  EXPECT_EQ(refused(), Paths{});
  give("/home");
  EXPECT_EQ(refused(), Paths{settings_.paths.builds});
  EXPECT_EQ(journal_.count("deletion.refused"), 2U) << "it was well in between";
}

TEST_F(DeletionRootsTest, CacheFoldersAreLookedAtAndAbsentOnesAreNot) {
  fs::create_directories(root_ + "/caches");
  settings_.disk.cache_dirs = {root_ + "/caches", root_ + "/home/cache", root_ + "/absent"};
  EXPECT_EQ(refused(), Paths{});
  fs::create_directories(root_ + "/home/cache");
  EXPECT_EQ(refused(), Paths{root_ + "/home/cache"});
}

// After a restart, say: in the place of the trash stands something else.
TEST_F(DeletionRootsTest, ATrashThatWasSwappedIsTold) {
  fs::create_directories(root_ + "/caches");
  settings_.disk.cache_dirs = {root_ + "/caches"};
  const auto trash = root_ + "/caches/" + kTrashName;
  fs::create_directory_symlink(root_ + "/home", trash);
  EXPECT_EQ(refused(), Paths{root_ + "/caches"});
  EXPECT_THAT(journal_.last("deletion.refused").reason, HasSubstr("is not a folder that is ours alone"));
  fs::remove(trash);
  fs::create_directory(trash);
  ASSERT_EQ(::chmod(trash.c_str(), 0700), 0);
  EXPECT_EQ(refused(), Paths{});
}

}  // namespace
}  // namespace buildwarden::disk
