#include "common/foreign_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/atomic_file.h"
#include "tests/support/hostile_user.h"
#include "tests/support/temp_folder.h"

namespace buildwarden {
namespace {

namespace fs = std::filesystem;
using testing::as_user;
using ::testing::HasSubstr;
using testing::kJobUser;

constexpr Bytes kMost = 64 * kKiB;

// A home of another user's below a folder of root's, with a file of root's in it, as cfn-env lies on the stack.
class ForeignFile : public ::testing::Test {
 protected:
  ForeignFile() {
    EXPECT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
    EXPECT_EQ(::mkdir(home().c_str(), 0755), 0);
    EXPECT_EQ(::chown(home().c_str(), kJobUser, kJobUser), 0);
    std::ofstream(file()) << "root's";
  }
  [[nodiscard]] std::string home() const { return folder_.path() + "/home"; }
  [[nodiscard]] std::string file() const { return home() + "/cfn-env"; }
  [[nodiscard]] std::string elsewhere() const { return folder_.path() + "/elsewhere"; }
  [[nodiscard]] static Result<std::string> read(const std::string& path, FileOwner owner = FileOwner::kRoot) {
    auto file = read_foreign_file(path, owner, kMost);
    if (!file) return std::move(file).error();
    return std::move(file->text);
  }
  // The other user moves root's file out of the way; what `put` then does is of that user, too.
  template <class Put>
  void replace(Put put) {
    ASSERT_TRUE(
        as_user(kJobUser, [this, put] { return ::rename(file().c_str(), (file() + ".old").c_str()) == 0 && put(); }));
  }

  testing::TempFolder folder_;
};

TEST_F(ForeignFile, OfRootsIsReadWhereverItLies) {
  EXPECT_EQ(read(file()).value_or(""), "root's");
  ASSERT_EQ(::chown(file().c_str(), 0, kJobUser), 0);
  ASSERT_EQ(::chmod(file().c_str(), 0640), 0);
  EXPECT_EQ(read(file()).value_or(""), "root's") << "as the stack has it";
  EXPECT_EQ(read(home() + "/none").error().code(), Errc::kNotFound);
  EXPECT_EQ(read("cfn-env").error().code(), Errc::kInvalid);
}

// With open(2) the next line would wait for ever.
TEST_F(ForeignFile, APipeIsRefusedAtOnce) {
  replace([this] { return ::mkfifo(file().c_str(), 0666) == 0; });
  for (const auto owner : {FileOwner::kAnybody, FileOwner::kRoot}) {
    const auto text = read(file(), owner);
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code(), Errc::kInvalid);
    EXPECT_THAT(text.error().message(), HasSubstr("not a regular file"));
  }
  EXPECT_EQ(read_file(file()).error().code(), Errc::kInvalid) << "nor does the plain reader wait";
}

TEST_F(ForeignFile, AFileOfAnotherUsersCountsOnlyWhereAnybodysDoes) {
  replace([this] { return (std::ofstream(file()) << "a job's").good(); });
  const auto text = read(file());
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code(), Errc::kDenied);
  EXPECT_THAT(text.error().message(), HasSubstr("others than root may write to it (uid 2000, gid 2000, mode 06"));
  EXPECT_EQ(read(file(), FileOwner::kAnybody).value_or(""), "a job's");
}

TEST_F(ForeignFile, RootsFileThatOthersMayWriteToDoesNotCount) {
  ASSERT_EQ(::chmod(file().c_str(), 0646), 0);
  EXPECT_EQ(read(file()).error().code(), Errc::kDenied);
  ASSERT_EQ(::chmod(file().c_str(), 0664), 0);
  EXPECT_EQ(read(file()).error().code(), Errc::kDenied) << "root's own group, and the mask of an access list";
  ASSERT_EQ(::chown(file().c_str(), 0, kJobUser), 0);
  EXPECT_EQ(read(file()).error().code(), Errc::kDenied);
}

TEST_F(ForeignFile, ALinkOfAnothersIsNotFollowedAndOneOfRootsIs) {
  std::ofstream(elsewhere()) << "only root may read this";
  ASSERT_EQ(::chmod(elsewhere().c_str(), 0600), 0);
  replace([this] { return ::symlink(elsewhere().c_str(), file().c_str()) == 0; });
  for (const auto owner : {FileOwner::kAnybody, FileOwner::kRoot}) {
    const auto text = read(file(), owner);
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code(), Errc::kDenied);
    EXPECT_THAT(text.error().message(), HasSubstr("cfn-env is a link"));
  }
  fs::create_symlink("elsewhere", folder_.path() + "/link");
  EXPECT_EQ(read(folder_.path() + "/link").value_or(""), "only root may read this");
  fs::create_symlink(elsewhere(), home() + "/roots-link");
  EXPECT_FALSE(read(home() + "/roots-link")) << "another may have put it in that place";
  const auto sticky = folder_.path() + "/sticky";
  fs::create_directory(sticky);
  fs::create_symlink(elsewhere(), sticky + "/link");
  ASSERT_EQ(::chmod(sticky.c_str(), 01777), 0);
  EXPECT_FALSE(read(sticky + "/link")) << "another may have brought it in";
  fs::create_symlink("loop", folder_.path() + "/loop");
  EXPECT_EQ(read(folder_.path() + "/loop").error().code(), Errc::kInvalid);
}

TEST_F(ForeignFile, AFolderOnTheWayThatBecameALinkIsNotFollowed) {
  ASSERT_TRUE(as_user(kJobUser, [this] { return ::mkdir((home() + "/sub").c_str(), 0755) == 0; }));
  std::ofstream(home() + "/sub/env") << "root's";
  EXPECT_TRUE(read(home() + "/sub/env"));
  fs::create_directory(elsewhere());
  std::ofstream(elsewhere() + "/env") << "root's other file";
  ASSERT_TRUE(as_user(kJobUser, [this] {
    const auto sub = home() + "/sub";
    return ::rename(sub.c_str(), (sub + "2").c_str()) == 0 && ::symlink(elsewhere().c_str(), sub.c_str()) == 0;
  }));
  EXPECT_EQ(read(home() + "/sub/env").error().code(), Errc::kDenied);
}

// A user may mount a filesystem of his own (FUSE) in a folder of his, and its answers may never come.
TEST_F(ForeignFile, InAFolderOfAnothersNoMountIsEntered) {
  const auto sub = home() + "/mounted";
  fs::create_directory(sub);
  if (::mount("none", sub.c_str(), "tmpfs", 0, "size=64k") != 0) GTEST_FAIL() << "these tests are root's";
  std::ofstream(sub + "/env") << "root's";
  const auto text = read(sub + "/env");
  EXPECT_EQ(::umount(sub.c_str()), 0);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code(), Errc::kDenied);
  EXPECT_THAT(text.error().message(), HasSubstr("mounted is a mount in a folder that others may write to"));
}

TEST_F(ForeignFile, DevicesAndFoldersAndMuchAreRefused) {
  const auto device = folder_.path() + "/device";
  ASSERT_EQ(::mknod(device.c_str(), S_IFCHR | 0600, ::makedev(1, 5)), 0);  // /dev/zero never ends
  EXPECT_EQ(read(device).error().code(), Errc::kInvalid);
  EXPECT_EQ(read(home()).error().code(), Errc::kInvalid);
  std::ofstream(file()) << std::string(static_cast<std::size_t>(kMost) + 1, 'x');
  EXPECT_EQ(read(file()).error().code(), Errc::kTooLarge);
}

TEST_F(ForeignFile, WhoMayTakeAFileAwayIsTold) {
  EXPECT_TRUE(may_others_replace(file()));
  EXPECT_FALSE(may_others_replace(elsewhere()));
  EXPECT_TRUE(may_others_replace(folder_.path() + "/none/file"));
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0777), 0);
  EXPECT_TRUE(may_others_replace(elsewhere()));
  ASSERT_EQ(::chmod(folder_.path().c_str(), 01777), 0);
  EXPECT_FALSE(may_others_replace(elsewhere())) << "as in /tmp";
}

}  // namespace
}  // namespace buildwarden
