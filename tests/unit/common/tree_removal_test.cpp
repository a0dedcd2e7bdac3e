#include "common/tree_removal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "common/beneath.h"
#include "tests/support/by_path.h"
#include "tests/support/temp_folder.h"

namespace buildwarden {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::open_folder;
using testing::remove_tree;
using testing::tree_identity;

class TreeRemovalTest : public ::testing::Test {
 protected:
  TreeRemovalTest() {
    fs::create_directories(tree());
    write(folder_.path() + "/outside/precious");
  }
  [[nodiscard]] std::string tree() const { return folder_.path() + "/tree"; }
  static void write(const std::string& path, std::size_t size = 10) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << std::string(size, 'x');
  }
  [[nodiscard]] bool precious() const { return fs::exists(folder_.path() + "/outside/precious"); }
  Result<TreeRemoved> remove(std::stop_token stop = {}) {
    const auto identity = tree_identity(folder_.path(), "tree");
    EXPECT_TRUE(identity) << identity.error().message();
    return remove_tree(folder_.path(), "tree", *identity, std::move(stop));
  }
  TreeRemoved removed() {
    auto result = remove();
    EXPECT_TRUE(result) << result.error().message();
    return result ? *result : TreeRemoved{};
  }

  testing::TempFolder folder_;
};

TEST_F(TreeRemovalTest, EverythingGoesAndIsCounted) {
  write(tree() + "/a/b/file", 100'000);
  write(tree() + "/.hidden", 1);
  fs::create_directories(tree() + "/empty/empty");
  const auto result = removed();
  EXPECT_TRUE(result.whole()) << result.first_error;
  EXPECT_EQ(result.removed, 7U);
  EXPECT_GE(result.bytes, 100'000);
  EXPECT_LT(result.bytes, 200'000);
  EXPECT_FALSE(fs::exists(tree()));
  EXPECT_TRUE(precious());
}

TEST_F(TreeRemovalTest, LinksAreRemovedAndNotFollowed) {
  fs::create_symlink("../outside", tree() + "/link");
  fs::create_symlink(folder_.path() + "/outside/precious", tree() + "/file");
  fs::create_symlink("/nowhere", tree() + "/dangling");
  EXPECT_TRUE(removed().whole());
  EXPECT_FALSE(fs::exists(tree()));
  EXPECT_TRUE(precious());
}

TEST_F(TreeRemovalTest, ALinkOrAFileInItsPlaceIsRemovedItself) {
  fs::remove(tree());
  fs::create_symlink("outside", tree());
  EXPECT_TRUE(removed().whole());
  EXPECT_FALSE(fs::is_symlink(tree()));
  write(tree(), 5'000);
  EXPECT_GE(removed().bytes, 5'000);
  EXPECT_TRUE(precious());
}

TEST_F(TreeRemovalTest, OnlyTheOneThatWasMeant) {
  const auto identity = *tree_identity(folder_.path(), "tree");
  fs::rename(tree(), folder_.path() + "/moved");
  EXPECT_EQ(remove_tree(folder_.path(), "tree", identity, {}).error().code(), Errc::kNotFound);
  fs::create_directories(tree());
  EXPECT_EQ(remove_tree(folder_.path(), "tree", identity, {}).error().code(), Errc::kConflict);
  EXPECT_TRUE(fs::exists(tree()));
  for (const std::string name : {"", ".", "..", "a/b", "/etc"}) {
    EXPECT_EQ(remove_tree(folder_.path(), name, identity, {}).error().code(), Errc::kInvalid) << name;
    EXPECT_EQ(tree_identity(folder_.path(), name).error().code(), Errc::kInvalid) << name;
  }
}

TEST_F(TreeRemovalTest, AFileWithAnotherNameFreesNothing) {
  write(tree() + "/file", 1'000'000);
  fs::create_hard_link(tree() + "/file", folder_.path() + "/outside/too");
  EXPECT_EQ(removed().bytes, 0);
}

TEST_F(TreeRemovalTest, ManyFilesInManyFolders) {
  constexpr int kFolders = 200;
  constexpr int kFiles = 500;
  for (int folder = 0; folder < kFolders; ++folder) {
    const auto path = tree() + "/" + std::to_string(folder);
    fs::create_directory(path);
    for (int file = 0; file < kFiles; ++file) {
      const int made = ::open((path + "/" + std::to_string(file)).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
      ASSERT_GE(made, 0);
      ::close(made);
    }
  }
  EXPECT_EQ(removed().removed, static_cast<std::uint64_t>(kFolders * kFiles + kFolders + 1));
  EXPECT_FALSE(fs::exists(tree()));
}

// Deeper than any path may be long, and than descriptors may be open.
TEST_F(TreeRemovalTest, VeryDeepFolders) {
  constexpr int kDepth = 2'000;
  auto here = open_folder(tree());
  ASSERT_TRUE(here);
  for (int depth = 0; depth < kDepth; ++depth) {
    ASSERT_EQ(::mkdirat(here->get(), "deeper", 0700), 0) << depth;
    auto next = open_beneath(here->get(), "deeper", O_RDONLY | O_DIRECTORY);
    ASSERT_TRUE(next.open());
    *here = std::move(next);
  }
  // Names that it uses itself are no obstacle.
  write(tree() + "/.buildwarden-deep-0/file");
  write(tree() + "/.buildwarden-deep-1", 1);
  const auto result = removed();
  EXPECT_TRUE(result.whole()) << result.first_error;
  EXPECT_FALSE(fs::exists(tree()));
}

TEST_F(TreeRemovalTest, MountsInsideAreLeftAndReported) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  write(tree() + "/before/file");
  write(tree() + "/mnt/point/under");
  write(tree() + "/single");
  write(tree() + "/zafter/file");
  ASSERT_EQ(::mount((folder_.path() + "/outside").c_str(), (tree() + "/mnt/point").c_str(), nullptr, MS_BIND, nullptr),
            0);
  ASSERT_EQ(
      ::mount((folder_.path() + "/outside/precious").c_str(), (tree() + "/single").c_str(), nullptr, MS_BIND, nullptr),
      0);
  const auto result = removed();
  EXPECT_EQ(::umount2((tree() + "/mnt/point").c_str(), MNT_DETACH), 0);
  EXPECT_EQ(::umount2((tree() + "/single").c_str(), MNT_DETACH), 0);
  EXPECT_FALSE(result.whole());
  EXPECT_EQ(result.left, 2U);
  EXPECT_THAT(result.mounts, ::testing::UnorderedElementsAre("tree/mnt/point", "tree/single"));
  EXPECT_TRUE(precious());
  EXPECT_FALSE(fs::exists(tree() + "/before"));
  EXPECT_FALSE(fs::exists(tree() + "/zafter"));
  EXPECT_TRUE(removed().whole()) << "and it goes once they are gone";
}

TEST_F(TreeRemovalTest, ATreeThatIsAMountIsLeft) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_EQ(::mount((folder_.path() + "/outside").c_str(), tree().c_str(), nullptr, MS_BIND, nullptr), 0);
  const auto result = remove();
  EXPECT_EQ(::umount2(tree().c_str(), MNT_DETACH), 0);
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_FALSE(result->whole());
  EXPECT_THAT(result->mounts, ElementsAre("tree"));
  EXPECT_TRUE(precious());
}

// As another user, who may not write in some folders.
TEST_F(TreeRemovalTest, WhatMayNotBeRemovedIsCountedAndTheRestGoes) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  write(tree() + "/mine/file");
  write(tree() + "/roots/file");
  write(tree() + "/roots/another");
  fs::create_directory(tree() + "/closed");
  for (const char* name : {"", "/mine", "/mine/file", "/closed"}) {
    ASSERT_EQ(::chown((tree() + name).c_str(), 65534, 65534), 0);
  }
  ASSERT_EQ(::chmod((tree() + "/closed").c_str(), 0), 0);
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0777), 0);
  const auto child = ::fork();
  if (child == 0) {
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(99);
    const auto identity = tree_identity(folder_.path(), "tree");
    const auto result = remove_tree(folder_.path(), "tree", *identity, {});
    const bool right = result && result->left == 2 && result->removed == 3 && result->mounts.empty() &&
                       result->first_error.find("tree/roots/") != std::string::npos;
    ::_exit(right ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(fs::exists(tree() + "/roots/file"));
  EXPECT_FALSE(fs::exists(tree() + "/mine"));
  EXPECT_FALSE(fs::exists(tree() + "/closed"));
}

TEST_F(TreeRemovalTest, ItStopsWhenItIsAskedTo) {
  write(tree() + "/a/file");
  std::stop_source stop;
  stop.request_stop();
  const auto result = remove(stop.get_token());
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(result->stopped);
  EXPECT_FALSE(result->whole());
  EXPECT_TRUE(fs::exists(tree() + "/a/file"));
}

// Somebody swaps folders for links to where it hurts, for as long as it lasts.
TEST_F(TreeRemovalTest, SwappedFoldersNeverLeadOutside) {
  for (int round = 0; round < 20; ++round) {
    for (int at = 0; at < 20; ++at) write(tree() + "/d" + std::to_string(at) + "/inner/precious");
    std::atomic<bool> over = false;
    std::thread swapper([&] {
      for (int at = 0; !over; at = (at + 1) % 20) {
        const auto victim = tree() + "/d" + std::to_string(at);
        const auto aside = tree() + "/aside" + std::to_string(at);
        std::error_code ignored;
        fs::rename(victim, aside, ignored);
        fs::create_symlink(folder_.path() + "/outside", victim, ignored);
        fs::rename(aside + "/inner", aside + "/other", ignored);
        fs::create_symlink("../../outside", aside + "/inner", ignored);
      }
    });
    const auto result = remove();
    over = true;
    swapper.join();
    ASSERT_TRUE(result) << result.error().message();
    ASSERT_TRUE(precious()) << round;
    fs::remove_all(tree());
    fs::create_directories(tree());
  }
}

// A job that writes faster than is removed held up the reclaimer for as long as it liked.
TEST_F(TreeRemovalTest, WhoeverWritesAllTheWhileIsLeftBehind) {
  for (int i = 0; i < 2'000; ++i) write(tree() + "/old/" + std::to_string(i), 0);
  std::atomic<bool> over = false;
  std::atomic<std::uint64_t> written = 0;
  const auto keep_writing = [&](int writer) {
    const auto folder = open_folder(tree() + "/old");
    while (!over) {
      const auto name = std::to_string(writer) + "-" + std::to_string(written++);
      if (::mknodat(folder->get(), name.c_str(), S_IFREG | 0600, 0) != 0 && errno == ENOENT) return;
    }
  };
  std::vector<std::thread> writers;
  for (int i = 0; i < 3; ++i) writers.emplace_back(keep_writing, i);
  while (written < 1'000) std::this_thread::yield();
  const auto result = removed();
  over = true;
  for (auto& writer : writers) writer.join();
  EXPECT_FALSE(result.stopped) << "long before its time";
  // Where the disk is faster than they are, nothing is left.
  if (!result.whole()) {
    EXPECT_THAT(result.first_error, HasSubstr("others write into tree/old"));
    EXPECT_THAT(removed().left, 0U) << "once they have ended";
  }
}

TEST_F(TreeRemovalTest, ItEndsWhenItsTimeIsOver) {
  write(tree() + "/file");
  const auto identity = tree_identity(folder_.path(), "tree");
  ASSERT_TRUE(identity);
  const auto parent = open_folder(folder_.path());
  RemovalOptions options;
  options.until = std::chrono::steady_clock::now();
  auto result = remove_tree_in(parent->get(), "tree", *identity, options);
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_TRUE(result->stopped);
  EXPECT_TRUE(fs::exists(tree() + "/file"));
}

}  // namespace
}  // namespace buildwarden
