#include "common/deletion_root.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "common/beneath.h"
#include "common/resolved_folder.h"
#include "common/trash.h"
#include "tests/support/hostile_user.h"
#include "tests/support/temp_folder.h"

namespace buildwarden {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::kJobUser;

class DeletionRootTest : public ::testing::Test {
 protected:
  DeletionRootTest() {
    if (::geteuid() != 0) return;
    root_ = fs::canonical(folder_.path()).string();
    EXPECT_EQ(::chmod(root_.c_str(), 0755), 0);
  }
  ~DeletionRootTest() override {
    for (const auto& point : mounts_) ::umount2(point.c_str(), MNT_DETACH);
  }
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give folders away";
  }
  [[nodiscard]] std::string in(const std::string& name) const { return root_ + "/" + name; }
  void make(const std::string& name, uid_t owner = 0, mode_t mode = 0755) const {
    fs::create_directories(in(name));
    ASSERT_EQ(::chown(in(name).c_str(), owner, owner), 0);
    ASSERT_EQ(::chmod(in(name).c_str(), mode), 0);
  }
  void link(const std::string& target, const std::string& name, uid_t owner = 0) const {
    fs::create_symlink(target, in(name));
    ASSERT_EQ(::lchown(in(name).c_str(), owner, owner), 0);
  }
  void bind(const std::string& what, const std::string& point) {
    ASSERT_EQ(::mount(in(what).c_str(), in(point).c_str(), nullptr, MS_BIND, nullptr), 0);
    mounts_.insert(in(point));
  }
  // "" when it was opened; else its code and text.
  [[nodiscard]] std::string why(const std::string& name) const {
    const auto root = DeletionRoot::open(in(name));
    return root ? "" : std::string(to_string(root.error().code())) + " " + root.error().message();
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    const auto root = DeletionRoot::open(in(name));
    return root ? (*root)->path() : root.error().message();
  }

  testing::TempFolder folder_;
  std::string root_;
  std::set<std::string> mounts_;
};

TEST_F(DeletionRootTest, AFolderBelowRootsOwnIsOpenedWhoeverOwnsIt) {
  make("a/builds", kJobUser, 0777);
  EXPECT_EQ(path("a/builds"), in("a/builds"));
  EXPECT_EQ(path("a/./b/../builds//"), "look at " + in("a/b") + ": No such file or directory");
  EXPECT_EQ(path("a/../a/./builds//"), in("a/builds"));
  EXPECT_EQ(DeletionRoot::open("/")->get()->path(), "/");
}

TEST_F(DeletionRootTest, WhatIsNoFolderIsAnError) {
  make("a");
  std::ofstream(in("a/file")) << "x";
  EXPECT_THAT(why("a/file"), HasSubstr("is not a folder"));
  EXPECT_THAT(why("a/file/more"), HasSubstr("is not a folder"));
  EXPECT_EQ(DeletionRoot::open(in("absent")).error().code(), Errc::kNotFound);
  EXPECT_EQ(DeletionRoot::open("relative").error().code(), Errc::kInvalid);
}

TEST_F(DeletionRootTest, RootsLinksInRootsFoldersAreFollowed) {
  make("a/real", kJobUser);
  make("b");
  link("../a/real", "b/relative");
  link(in("b/relative"), "b/absolute");
  link("loop", "b/loop");
  EXPECT_EQ(path("b/relative"), in("a/real"));
  EXPECT_EQ(path("b/absolute"), in("a/real"));
  EXPECT_THAT(why("b/loop"), HasSubstr("too many links"));
}

TEST_F(DeletionRootTest, NobodyElsesLinksAndNoneWhereOthersMayWrite) {
  make("a/real");
  make("b");
  make("sticky", 0, 01777);
  make("theirs", kJobUser);
  link(in("a/real"), "b/theirs", kJobUser);
  // Brought in from a folder of theirs, or by a hard link.
  link(in("a/real"), "sticky/roots");
  link(in("a/real"), "theirs/roots");
  for (const char* name : {"b/theirs", "sticky/roots", "theirs/roots"}) {
    EXPECT_THAT(why(name), HasSubstr("a link counts only where root owns both")) << name;
  }
}

TEST_F(DeletionRootTest, AFolderThatOthersMayWriteToDecidesForThoseInIt) {
  make("theirs/builds");
  make("theirs", kJobUser);
  EXPECT_THAT(why("theirs/builds"), HasSubstr("theirs belongs to uid 2000, who could put a link in the place of"));
  EXPECT_THAT(why("theirs/builds"), HasSubstr("mount --bind " + in("theirs/builds")));
  make("group/builds");
  make("group", 0, 0775);
  EXPECT_THAT(why("group/builds"), HasSubstr("may be written by others (mode 775)"));
  make("theirs/deep/er/builds");
  EXPECT_THAT(why("theirs/deep/er/builds"), HasSubstr("in the place of " + in("theirs/deep"))) << "the first that is";
}

TEST_F(DeletionRootTest, InAStickyFolderOnlyWhatNobodyElseMayWriteTo) {
  make("sticky/roots");
  make("sticky/theirs", kJobUser);
  make("sticky/open", 0, 0777);
  make("sticky", 0, 01777);
  EXPECT_EQ(why("sticky/roots"), "");
  EXPECT_THAT(why("sticky/theirs"), HasSubstr("could put a link"));
  EXPECT_THAT(why("sticky/open"), HasSubstr("could put a link"));
  make("sticky", kJobUser, 01777);
  EXPECT_THAT(why("sticky/roots"), HasSubstr("belongs to uid 2000"));
}

TEST_F(DeletionRootTest, AMountOfTheirOwnStaysBelowTheirFolder) {
  make("home/builds", kJobUser);
  make("disk", kJobUser);
  make("home", kJobUser);
  bind("disk", "home/builds");
  EXPECT_EQ(path("home/builds"), in("home/builds"));
  make("home/builds/inner", kJobUser);
  EXPECT_THAT(why("home/builds/inner"), HasSubstr("could put a link")) << "below it they may rename";
}

// They can rename it all the same, and another mount there: it must be one that they could empty themselves.
TEST_F(DeletionRootTest, AMountThatIsNotTheirsIsRefusedBelowTheirFolder) {
  make("home/builds", kJobUser);
  make("home/keys", kJobUser);
  make("disk", kJobUser);
  make("keys");
  make("home", kJobUser);
  bind("disk", "home/builds");
  bind("keys", "home/keys");
  EXPECT_THAT(why("home/keys"), HasSubstr("another mount in the place of"));
  ASSERT_EQ(why("home/builds"), "");
  if (!testing::rename_mount_point(kJobUser, in("home"), "builds", "b2")) GTEST_SKIP() << "no user namespaces";
  mounts_.insert(in("home/b2"));
  EXPECT_THAT(why("home/builds"), HasSubstr("not_found")) << "a mount point is no hold";
  ASSERT_TRUE(testing::rename_mount_point(kJobUser, in("home"), "keys", "builds"));
  mounts_.insert(in("home/builds"));
  EXPECT_THAT(why("home/builds"), HasSubstr("another mount in the place of"));
}

// A job can mount such a one on what it owns, its home too, have it say that root owns all in it, and never answer.
TEST_F(DeletionRootTest, AMountThatAJobAnswersForIsNotAsked) {
  make("home/builds", kJobUser);
  make("home", kJobUser);
  for (const auto& point : {in("home/builds"), in("home")}) {
    const UniqueFd fuse(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    if (!fuse.open()) GTEST_SKIP() << "no /dev/fuse";
    const auto options = "fd=" + std::to_string(fuse.get()) + ",rootmode=40755,user_id=2000,group_id=0,allow_other";
    // As fusermount does it for them; and the name in the table is theirs.
    ASSERT_EQ(::mount(",user_id=0,", point.c_str(), "fuse", 0, options.c_str()), 0);
    mounts_.insert(point);
    EXPECT_TRUE(testing::as_user(0, [this] {
      ::alarm(20);  // its end, where it waits for an answer
      const auto root = resolve_folder(in("home/builds"));
      return !root && root.error().code() == Errc::kConflict;
    })) << point;
  }
}

TEST_F(DeletionRootTest, WhoMayRenameAMountMustBeAbleToEmptyIt) {
  make("group/builds");
  make("disk", kJobUser, 0775);
  ASSERT_EQ(::chown(in("disk").c_str(), 0, 3000), 0);
  make("group", 0, 0775);
  ASSERT_EQ(::chown(in("group").c_str(), 0, 3000), 0);
  bind("disk", "group/builds");
  EXPECT_EQ(why("group/builds"), "") << "the same group may";
  ASSERT_EQ(::chown(in("disk").c_str(), 0, 3001), 0);
  EXPECT_THAT(why("group/builds"), HasSubstr("another mount"));
  ASSERT_EQ(::chmod(in("disk").c_str(), 0777), 0);
  EXPECT_EQ(why("group/builds"), "") << "all may";
  ASSERT_EQ(::chmod(in("disk").c_str(), 01777), 0);
  EXPECT_THAT(why("group/builds"), HasSubstr("another mount")) << "each only their own";
  make("group", 0, 0777);
  EXPECT_THAT(why("group/builds"), HasSubstr("another mount"));
}

TEST_F(DeletionRootTest, WhatHappensToThePathAfterwardsIsNoMatter) {
  make("a/builds/one");
  make("target/one");
  const auto root = *DeletionRoot::open(in("a/builds"));
  fs::rename(in("a/builds"), in("a/b2"));
  fs::create_directory_symlink(in("target"), in("a/builds"));
  const auto identity = tree_identity_in(root->folder(), "one");
  ASSERT_TRUE(identity);
  const auto there = root->throw_away(root->folder(), "one", *identity);
  ASSERT_TRUE(there) << there.error().message();
  EXPECT_TRUE(fs::exists(in("a/b2/" + std::string(kTrashName) + "/" + *there)));
  EXPECT_TRUE(root->remove_thrown(*there, *identity, {})->whole());
  EXPECT_TRUE(fs::exists(in("target/one")));
  EXPECT_FALSE(fs::exists(in("target/" + std::string(kTrashName))));
}

TEST_F(DeletionRootTest, TheTrashIsTheOneThatWasOpenedAndASwappedOneIsRefusedAtTheNextStart) {
  make("a/builds/one", kJobUser);
  make("a/builds", kJobUser);
  make("target", 0, 0700);
  const auto trash = in("a/builds/" + std::string(kTrashName));
  const auto root = *DeletionRoot::open(in("a/builds"));
  ASSERT_TRUE(root->trash(true));
  struct stat info{};
  ASSERT_EQ(::stat(trash.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0700U);
  EXPECT_EQ(info.st_uid, 0U);
  ASSERT_TRUE(testing::as_user(kJobUser, [&] {
    return ::symlink(in("target").c_str(), in("a/builds/link").c_str()) == 0 &&
           testing::exchange(trash, in("a/builds/link"));
  }));
  const auto identity = *tree_identity_in(root->folder(), "one");
  const auto there = root->throw_away(root->folder(), "one", identity);
  ASSERT_TRUE(there) << there.error().message();
  EXPECT_TRUE(fs::exists(in("a/builds/link/" + *there))) << "under its new name";
  EXPECT_TRUE(fs::is_empty(in("target")));
  const auto again = *DeletionRoot::open(in("a/builds"));
  EXPECT_EQ(again->trash(true).error().code(), Errc::kDenied);
}

TEST_F(DeletionRootTest, ATrashOnAnotherMountIsRefused) {
  make("a/builds");
  make("a/builds/" + std::string(kTrashName), 0, 0700);
  bind("a/builds/" + std::string(kTrashName), "a/builds/" + std::string(kTrashName));
  EXPECT_EQ(DeletionRoot::open(in("a/builds"))->get()->trash(true).error().code(), Errc::kDenied);
}

// For people: as the daemon will see it, whoever asks.
TEST_F(DeletionRootTest, PeopleAreToldWhyBeforehand) {
  make("theirs/builds");
  make("theirs", kJobUser);
  make("a/builds", kJobUser);
  EXPECT_THAT(why_not_deletable(in("theirs/builds")), HasSubstr("belongs to uid 2000"));
  EXPECT_EQ(why_not_deletable(in("a/builds")), "");
  EXPECT_EQ(why_not_deletable(in("absent")), "");
  EXPECT_TRUE(testing::as_user(kJobUser, [this] { return !why_not_deletable(in("theirs/builds")).empty(); }));
}

}  // namespace
}  // namespace buildwarden
