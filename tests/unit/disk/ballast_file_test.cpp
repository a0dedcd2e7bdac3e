#include "daemon/ballast/ballast_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "daemon/filesystems/path_stat.h"
#include "tests/support/temp_folder.h"

namespace buildwarden::disk {
namespace {

namespace fs = std::filesystem;
using policy::BallastAct;

// On the filesystem of the temporary folder, as whoever runs the test.
class BallastFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const PathStatReader read(std::make_shared<MountTable>("/proc/self/mountinfo"));
    const auto snapshot = read(folder_.path());
    ASSERT_TRUE(snapshot);
    key_ = snapshot->key;
    fs::create_directory(own_);
    fs::permissions(own_, fs::perms::owner_all);
    fs::create_directory(shared_);
    const auto tried = act(BallastAct::kMake, kMiB);
    if (!tried && tried.error().code() == Errc::kInvalid) GTEST_SKIP() << tried.error().message();
    ASSERT_TRUE(tried) << tried.error().message();
    ASSERT_TRUE(act(BallastAct::kRemove));
  }
  Result<BallastDone> act(BallastAct act, Bytes size = 0, Bytes floor = 0) {
    BallastWork work;
    work.key = key_;
    work.places = places_;
    work.act = act;
    work.size = size;
    work.floor = floor;
    return work_on_ballast(work);
  }
  static Bytes blocks(const std::string& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 ? static_cast<Bytes>(info.st_blocks) * 512 : -1;
  }
  void use_shared() { places_ = {{shared_, true}}; }

  testing::TempFolder folder_;
  std::string own_ = folder_.path() + "/own";
  std::string shared_ = folder_.path() + "/shared";
  std::string file_ = own_ + "/ballast";
  ports::FilesystemKey key_;
  std::vector<BallastPlace> places_ = {{own_, false}};
};

TEST_F(BallastFileTest, IsRealBlocksThatOnlyTheOwnerCanRead) {
  const auto made = act(BallastAct::kMake, 8 * kMiB);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->held, 8 * kMiB);
  EXPECT_GE(blocks(file_), 8 * kMiB);
  struct stat info{};
  ASSERT_EQ(::stat(file_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
  EXPECT_EQ(info.st_size, 8 * kMiB);
}

TEST_F(BallastFileTest, IsFoundGrownCutAndGivenBack) {
  ASSERT_TRUE(act(BallastAct::kMake, 2 * kMiB));
  EXPECT_EQ(act(BallastAct::kKeep)->held, 2 * kMiB);
  EXPECT_EQ(act(BallastAct::kMake, 5 * kMiB)->held, 5 * kMiB);
  EXPECT_GE(blocks(file_), 5 * kMiB);
  EXPECT_EQ(act(BallastAct::kShrink, 3 * kMiB)->held, 3 * kMiB);
  EXPECT_EQ(fs::file_size(file_), 3U * kMiB);
  const auto given = act(BallastAct::kGive);
  ASSERT_TRUE(given);
  EXPECT_EQ(given->held, 0);
  EXPECT_FALSE(fs::exists(file_));
  EXPECT_EQ(act(BallastAct::kGive)->held, 0);
  EXPECT_EQ(act(BallastAct::kMake, kMiB)->held, kMiB);
}

TEST_F(BallastFileTest, InASharedFolderItLiesInAHiddenOneThatGoesWithIt) {
  use_shared();
  EXPECT_EQ(act(BallastAct::kKeep)->held, 0);
  EXPECT_FALSE(fs::exists(shared_ + "/.buildwarden"));
  ASSERT_TRUE(act(BallastAct::kMake, kMiB));
  struct stat info{};
  ASSERT_EQ(::stat((shared_ + "/.buildwarden").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0700U);
  EXPECT_GE(blocks(shared_ + "/.buildwarden/ballast"), kMiB);
  ASSERT_TRUE(act(BallastAct::kGive));
  EXPECT_TRUE(fs::exists(shared_ + "/.buildwarden"));
  ASSERT_TRUE(act(BallastAct::kRemove));
  EXPECT_TRUE(fs::is_empty(shared_));
}

TEST_F(BallastFileTest, LiesInTheFirstPlaceThatThereIs) {
  places_ = {{folder_.path() + "/absent", false}, {own_, false}, {shared_, true}};
  ASSERT_TRUE(act(BallastAct::kMake, kMiB));
  EXPECT_TRUE(fs::exists(file_));
  EXPECT_TRUE(fs::is_empty(shared_));
}

TEST_F(BallastFileTest, OneLeftInAnotherPlaceIsFoundAndGivenToo) {
  use_shared();
  ASSERT_TRUE(act(BallastAct::kMake, kMiB));
  places_ = {{own_, false}, {shared_, true}};
  EXPECT_EQ(act(BallastAct::kKeep)->held, kMiB);
  EXPECT_EQ(act(BallastAct::kMake, 2 * kMiB)->held, 2 * kMiB);
  EXPECT_FALSE(fs::exists(file_));
  EXPECT_EQ(act(BallastAct::kGive)->held, 0);
  EXPECT_FALSE(fs::exists(shared_ + "/.buildwarden/ballast"));
}

TEST_F(BallastFileTest, AForeignFileIsLeftAsItIs) {
  std::ofstream(file_) << "somebody's notes";
  for (const auto one : {BallastAct::kKeep, BallastAct::kMake, BallastAct::kGive, BallastAct::kRemove}) {
    const auto done = act(one, kMiB);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code(), Errc::kConflict);
    EXPECT_NE(done.error().message().find("is not ours"), std::string::npos) << done.error().message();
  }
  EXPECT_EQ(fs::file_size(file_), 16U);
}

TEST_F(BallastFileTest, ASymlinkLeadsNowhere) {
  const auto victim = folder_.path() + "/victim";
  std::ofstream(victim) << "precious";
  fs::create_symlink(victim, file_);
  EXPECT_FALSE(act(BallastAct::kGive));
  EXPECT_FALSE(act(BallastAct::kMake, kMiB));
  EXPECT_EQ(fs::file_size(victim), 8U);
  EXPECT_TRUE(fs::is_symlink(file_));
}

TEST_F(BallastFileTest, AHiddenFolderThatLeadsElsewhereIsLeftAlone) {
  ASSERT_TRUE(act(BallastAct::kMake, kMiB));
  use_shared();
  fs::create_directory_symlink(own_, shared_ + "/.buildwarden");
  EXPECT_FALSE(act(BallastAct::kGive));
  EXPECT_TRUE(fs::exists(file_));
}

TEST_F(BallastFileTest, AFolderThatOthersMayChangeIsNotUsed) {
  ASSERT_TRUE(act(BallastAct::kMake, kMiB));
  fs::permissions(own_, fs::perms::all);
  const auto given = act(BallastAct::kGive);
  ASSERT_FALSE(given);
  EXPECT_EQ(given.error().code(), Errc::kConflict);
  EXPECT_TRUE(fs::exists(file_));
}

TEST_F(BallastFileTest, ASecondNameMakesItNobodys) {
  ASSERT_TRUE(act(BallastAct::kMake, kMiB));
  fs::create_hard_link(file_, folder_.path() + "/other");
  EXPECT_FALSE(act(BallastAct::kGive));
  EXPECT_EQ(fs::file_size(folder_.path() + "/other"), 1U * kMiB);
}

TEST_F(BallastFileTest, APipeOfThatNameHoldsNobodyUp) {
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  EXPECT_FALSE(act(BallastAct::kKeep));
}

TEST_F(BallastFileTest, WhatLiesOnAnotherFilesystemNowIsLeftAlone) {
  ASSERT_TRUE(act(BallastAct::kMake, kMiB));
  key_.fsid ^= 1U;
  EXPECT_EQ(act(BallastAct::kGive)->held, 0);
  EXPECT_TRUE(fs::exists(file_));
  const auto made = act(BallastAct::kMake, kMiB);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Errc::kNotFound);
}

TEST_F(BallastFileTest, NothingIsMadeThatLeavesTooLittle) {
  const auto made = act(BallastAct::kMake, kMiB, Bytes{1} << 60);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Errc::kConflict);
  EXPECT_FALSE(fs::exists(file_));
}

TEST_F(BallastFileTest, WhatCannotBeReservedLeavesNothingBehind) {
  const auto made = act(BallastAct::kMake, Bytes{1} << 50, -(Bytes{1} << 51));
  ASSERT_FALSE(made);
  EXPECT_FALSE(fs::exists(file_));
  ASSERT_TRUE(act(BallastAct::kMake, 2 * kMiB));
  EXPECT_FALSE(act(BallastAct::kMake, Bytes{1} << 50, -(Bytes{1} << 51)));
  EXPECT_EQ(act(BallastAct::kKeep)->held, 2 * kMiB);
  EXPECT_EQ(fs::file_size(file_), 2U * kMiB);
}

TEST_F(BallastFileTest, WithoutAPlaceThereIsNone) {
  places_ = {{folder_.path() + "/absent", true}};
  EXPECT_EQ(act(BallastAct::kKeep)->held, 0);
  EXPECT_EQ(act(BallastAct::kMake, kMiB).error().code(), Errc::kNotFound);
  EXPECT_FALSE(fs::exists(folder_.path() + "/absent"));
}

}  // namespace
}  // namespace buildwarden::disk
