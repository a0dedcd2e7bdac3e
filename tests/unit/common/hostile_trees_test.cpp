// Removal of trees that were made to lead it astray, by several threads (H11, H12): what lies outside stays as it is,
// to the byte.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "common/beneath.h"
#include "common/file_flags.h"
#include "common/tree_removal.h"
#include "tests/support/by_path.h"
#include "tests/support/temp_folder.h"

namespace buildwarden {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::open_folder;
using testing::tree_identity;
using ::testing::UnorderedElementsAre;

// Everything that can be known of a tree, but for its times of access.
std::string picture(const fs::path& root) {
  std::vector<std::string> lines;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    struct stat info{};
    ::lstat(entry.path().c_str(), &info);
    std::ostringstream line;
    line << entry.path().string() << " " << info.st_mode << " " << info.st_uid << " " << info.st_ino << " "
         << info.st_nlink << " " << info.st_mtim.tv_sec << "." << info.st_mtim.tv_nsec << " ";
    if (S_ISREG(info.st_mode)) line << std::ifstream(entry.path()).rdbuf();
    if (S_ISLNK(info.st_mode)) line << fs::read_symlink(entry.path());
    lines.push_back(line.str());
  }
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

// Whether the filesystem of the test knows the flag.
bool set_flag(const std::string& path, int flag, bool on) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  int flags = 0;
  if (!file.open() || ::ioctl(file.get(), FS_IOC_GETFLAGS, &flags) != 0) return false;
  flags = on ? flags | flag : flags & ~flag;
  return ::ioctl(file.get(), FS_IOC_SETFLAGS, &flags) == 0;
}

class HostileTrees : public ::testing::TestWithParam<unsigned> {
 protected:
  HostileTrees() {
    fs::create_directories(tree());
    write(outside() + "/precious");
    write(outside() + "/folder/inner/precious too");
    fs::create_symlink("folder", outside() + "/link");
    before_ = picture(outside());
  }
  ~HostileTrees() override { EXPECT_EQ(picture(outside()), before_) << "outside"; }

  [[nodiscard]] std::string tree() const { return folder_.path() + "/tree"; }
  [[nodiscard]] std::string outside() const { return folder_.path() + "/outside"; }
  static void write(const std::string& path, std::size_t size = 10) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << std::string(size, 'x');
  }
  TreeRemoved remove(std::stop_token stop = {}) {
    const auto parent = open_folder(folder_.path());
    const auto identity = tree_identity(folder_.path(), "tree");
    EXPECT_TRUE(parent && identity);
    RemovalOptions options;
    options.stop = std::move(stop);
    options.threads = GetParam();
    options.clear_flags = true;
    auto result = remove_tree_in(parent->get(), "tree", *identity, options);
    EXPECT_TRUE(result) << result.error().message();
    return result ? *std::move(result) : TreeRemoved{};
  }
  void expect_whole(const TreeRemoved& result) const {
    EXPECT_TRUE(result.whole()) << result.left << " left: " << result.first_error;
    EXPECT_FALSE(fs::exists(fs::symlink_status(tree())));
  }

  testing::TempFolder folder_;

 private:
  std::string before_;
};

TEST_P(HostileTrees, LinksToTheRootAndToTheOutsideGoThemselves) {
  for (int at = 0; at < 50; ++at) {
    const auto place = tree() + "/" + std::to_string(at);
    fs::create_directory(place);
    fs::create_symlink("/", place + "/root");
    fs::create_symlink("../../outside", place + "/outside");
    fs::create_symlink(outside() + "/precious", place + "/file");
    fs::create_symlink("..", place + "/up");
    fs::create_symlink("self", place + "/self");
  }
  const auto result = remove();
  expect_whole(result);
  EXPECT_EQ(result.removed, 50U * 6 + 1);
}

TEST_P(HostileTrees, PipesAndSocketsAreNotOpenedButRemoved) {
  ASSERT_EQ(::mkfifo((tree() + "/pipe").c_str(), 0600), 0);
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (tree() + "/socket").copy(address.sun_path, sizeof address.sun_path - 1);
  const void* plain = &address;
  ASSERT_EQ(::bind(socket.get(), static_cast<const sockaddr*>(plain), sizeof address), 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(::mknod((tree() + "/device").c_str(), S_IFCHR | 0600, 0), 0);
  }
  expect_whole(remove());
}

TEST_P(HostileTrees, NamesOfAnyBytesAreNames) {
  for (const std::string name :
       {"new\nline", "tab\t", "\xff\xfe\x80", "-rf", "*", " ", "...", "a\\b", "\x01", "'\"$(x)"}) {
    write(tree() + "/" + name + "/" + name);
  }
  write(tree() + "/" + std::string(255, 'n'));
  expect_whole(remove());
}

TEST_P(HostileTrees, AHundredThousandEntriesInOneFolder) {
  constexpr int kEntries = 100'000;
  fs::create_directory(tree() + "/flat");
  const auto flat = open_folder(tree() + "/flat");
  ASSERT_TRUE(flat);
  for (int at = 0; at < kEntries; ++at) {
    ASSERT_EQ(::mknodat(flat->get(), std::to_string(at).c_str(), S_IFREG | 0600, 0), 0);
  }
  const auto result = remove();
  expect_whole(result);
  EXPECT_EQ(result.removed, kEntries + 2U);
}

// Deeper than a path may be long and than descriptors may be open; with files and with folders beside on each level.
TEST_P(HostileTrees, TwoThousandFoldersDeep) {
  constexpr int kDepth = 2'000;
  auto here = open_folder(tree());
  ASSERT_TRUE(here);
  for (int depth = 0; depth < kDepth; ++depth) {
    ASSERT_EQ(::mknodat(here->get(), "file", S_IFREG | 0600, 0), 0);
    ASSERT_EQ(::mkdirat(here->get(), "beside", 0700), 0);
    ASSERT_EQ(::mkdirat(here->get(), "deeper", 0700), 0) << depth;
    auto next = open_beneath(here->get(), "deeper", O_RDONLY | O_DIRECTORY);
    ASSERT_TRUE(next.open());
    *here = std::move(next);
  }
  const auto result = remove();
  expect_whole(result);
  EXPECT_EQ(result.removed, kDepth * 3U + 1);
}

TEST_P(HostileTrees, WhatAnotherUserOwnsAndNobodyMayReadGoes) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  for (const auto* name : {"/mine/file", "/remapped/deep/file", "/nobodys/file"}) write(tree() + name);
  for (const auto* name : {"/remapped", "/remapped/deep", "/remapped/deep/file"}) {
    ASSERT_EQ(::lchown((tree() + name).c_str(), 100'000, 100'000), 0);
  }
  ASSERT_EQ(::chmod((tree() + "/nobodys/file").c_str(), 0), 0);
  ASSERT_EQ(::chmod((tree() + "/nobodys").c_str(), 0), 0);
  expect_whole(remove());
}

TEST_P(HostileTrees, ImmutableFilesAndFoldersGoButForThoseWithAnotherName) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  write(tree() + "/frozen/file");
  write(tree() + "/frozen/folder/file");
  write(tree() + "/log");
  write(tree() + "/elsewhere");
  fs::create_directory(tree() + "/empty");
  fs::create_hard_link(tree() + "/elsewhere", folder_.path() + "/other name");
  const bool known = set_flag(tree() + "/log", FS_APPEND_FL, true);
  for (const auto* name :
       {"/frozen/folder/file", "/frozen/folder", "/frozen/file", "/frozen", "/empty", "/elsewhere"}) {
    EXPECT_EQ(set_flag(tree() + name, FS_IMMUTABLE_FL, true), known) << name;
  }
  const auto result = remove();
  EXPECT_FALSE(fs::exists(tree() + "/frozen"));
  EXPECT_FALSE(fs::exists(tree() + "/empty"));
  EXPECT_FALSE(fs::exists(tree() + "/log"));
  EXPECT_EQ(result.left, known ? 1U : 0U) << result.first_error;
  if (known) {
    EXPECT_THAT(result.first_error, HasSubstr("tree/elsewhere"));
    EXPECT_FALSE(set_flag(folder_.path() + "/other name", FS_NODUMP_FL, true)) << "it has kept its flag";
    ASSERT_TRUE(set_flag(tree() + "/elsewhere", FS_IMMUTABLE_FL, false));
  }
}

TEST_P(HostileTrees, MountsInsideAreLeftAndNamed) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  for (int at = 0; at < 20; ++at) write(tree() + "/" + std::to_string(at) + "/inner/file");
  ASSERT_EQ(::mount(outside().c_str(), (tree() + "/7/inner").c_str(), nullptr, MS_BIND, nullptr), 0);
  ASSERT_EQ(::mount((outside() + "/precious").c_str(), (tree() + "/9/inner/file").c_str(), nullptr, MS_BIND, nullptr),
            0);
  const auto result = remove();
  EXPECT_EQ(::umount2((tree() + "/7/inner").c_str(), MNT_DETACH), 0);
  EXPECT_EQ(::umount2((tree() + "/9/inner/file").c_str(), MNT_DETACH), 0);
  EXPECT_EQ(result.left, 2U);
  EXPECT_THAT(result.mounts, UnorderedElementsAre("tree/7/inner", "tree/9/inner/file"));
  EXPECT_FALSE(fs::exists(tree() + "/8"));
  expect_whole(remove());
}

TEST_P(HostileTrees, AFileThatIsBeingWrittenGoes) {
  std::atomic<bool> over = false;
  write(tree() + "/a/log");
  std::thread writer([&] {
    std::ofstream file(tree() + "/a/log");
    for (int at = 0; !over; ++at) {
      file << at << std::endl;
      std::ofstream(tree() + "/a/new" + std::to_string(at % 100)) << at;
    }
  });
  remove();
  over = true;
  writer.join();
  if (fs::exists(tree())) expect_whole(remove());
}

TEST_P(HostileTrees, FoldersThatAreSwappedForLinksMeanwhileLeadNowhere) {
  const auto exchange = [](const std::string& one, const std::string& other) {
    return ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0;
  };
  int swapped = 0;
  for (int round = 0; round < 10; ++round) {
    for (int at = 0; at < 40; ++at) {
      const auto place = tree() + "/d" + std::to_string(at);
      write(place + "/inner/precious");
      fs::create_symlink("../outside", place + ".link");
      fs::create_symlink("../../outside/folder", place + "/link");
    }
    std::atomic<bool> over = false;
    std::thread swapper([&] {
      for (int at = 0; !over; at = (at + 1) % 40) {
        const auto victim = tree() + "/d" + std::to_string(at);
        swapped += exchange(victim + "/inner", victim + "/link") ? 1 : 0;
        swapped += exchange(victim, victim + ".link") ? 1 : 0;
      }
    });
    remove();
    over = true;
    swapper.join();
    if (fs::exists(tree())) expect_whole(remove());
    fs::create_directories(tree());
  }
  EXPECT_GT(swapped, 0);
}

TEST_P(HostileTrees, OnceAskedToStopEveryThreadStops) {
  for (int at = 0; at < 100; ++at) write(tree() + "/" + std::to_string(at) + "/file");
  std::stop_source stop;
  stop.request_stop();
  const auto result = remove(stop.get_token());
  EXPECT_TRUE(result.stopped);
  EXPECT_EQ(result.removed, 0U);
  EXPECT_TRUE(fs::exists(tree() + "/99/file"));
}

TEST_P(HostileTrees, WideAndNestedTreesAreCountedOnce) {
  std::uint64_t made = 1;
  for (int a = 0; a < 30; ++a) {
    for (int b = 0; b < 10; ++b) {
      const auto place = tree() + "/" + std::to_string(a) + "/" + std::to_string(b);
      fs::create_directories(place + "/c");
      for (int file = 0; file < 5; ++file)
        std::ofstream(place + "/c/" + std::to_string(file)) << std::string(5'000, 'x');
      made += 7;
    }
    ++made;
  }
  const auto result = remove();
  expect_whole(result);
  EXPECT_EQ(result.removed, made);
  EXPECT_GE(result.bytes, 1'500 * 5'000);
  EXPECT_LT(result.bytes, 2 * 1'500 * 8'192);
}

INSTANTIATE_TEST_SUITE_P(Threads, HostileTrees, ::testing::Values(1U, 4U),
                         [](const auto& threads) { return "With" + std::to_string(threads.param); });

}  // namespace
}  // namespace buildwarden
