// Rung 8 over real folders: what is idle goes, whatever is not stays (H11, H12).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "common/unique_fd.h"
#include "tests/support/run_void.h"
#include "tests/unit/disk/checkouts_fixture.h"

namespace buildwarden::disk {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST_F(PurgeTest, OnlyFoldersExactlyThreeLevelsDeepAreCheckouts) {
  make("ci-1/acme/web");
  make("ci-1/acme/two words\nand a line");
  write(path("ci-1/acme/file"));
  write(path("ci-1/file"));
  write(path(".hidden/acme/web/x"));
  write(path("ci-1/.git/web/x"));
  write(path("ci-1/acme/.cache/x"));
  write(path("ci-1/empty/.x"));
  fs::create_symlink(root_ + "/outside", path("linked"));
  fs::create_symlink(root_ + "/outside/org", path("ci-1/linked"));
  fs::create_symlink(root_ + "/outside/org/pipeline", path("ci-1/acme/linked"));
  ASSERT_EQ(::mkfifo(path("ci-1/acme/pipe").c_str(), 0600), 0);
  fs::create_directories(path("ci-1/mounted"));
  ASSERT_EQ(::mount((root_ + "/outside/org").c_str(), path("ci-1/mounted").c_str(), nullptr, MS_BIND, nullptr), 0);
  std::vector<std::string> names;
  for (const auto& one : list()) names.push_back(one.id.substr(settings_.paths.builds.size() + 1));
  EXPECT_EQ(::umount2(path("ci-1/mounted").c_str(), MNT_DETACH), 0);
  EXPECT_THAT(names, UnorderedElementsAre("ci-1/acme/web", "ci-1/acme/two words\nand a line"));
}

// The one of many jobs is needed again sooner than the one that happened to be used last.
TEST_F(PurgeTest, WhatIsWorthLeastGoesFirst) {
  make("ci-1/acme/often");
  make("ci-1/acme/once");
  const auto now = clock_.now().wall;
  ended_.jobs = {{"1", path("ci-1/acme/often"), now - std::chrono::minutes{50}, 20, now - hours{3}},
                 {"2", path("ci-1/acme/once"), now - std::chrono::minutes{40}, 1, now - std::chrono::minutes{40}}};
  const auto order_by = [this](bool by_value) {
    policy::EvictionRules rules;
    rules.by_value = by_value;
    std::vector<std::string> names;
    for (const auto& one : policy::rank(list(), rules, clock_.now()).order) names.push_back(one.name.substr(9));
    return names;
  };
  EXPECT_THAT(order_by(true), ElementsAre("ci-1/acme/once", "ci-1/acme/often"));
  for (const auto& one : list()) {
    ASSERT_TRUE(one.value);
    EXPECT_TRUE(one.value->is_estimated);
    EXPECT_THAT(one.value->why, HasSubstr("its size is not known yet, 1.00 GiB are assumed: costs 21.5 s"));
  }
  settings_.disk.rank_by = RankBy::kLastUse;
  EXPECT_THAT(order_by(false), ElementsAre("ci-1/acme/often", "ci-1/acme/once"));
  EXPECT_FALSE(list().front().value);
}

TEST_F(PurgeTest, AnIdleOneGoesWholeAndNothingBesideIt) {
  make("ci-1/acme/web");
  write(path("ci-1/acme/file"));
  const auto taken = evict();
  EXPECT_EQ(taken.dropped, "");
  EXPECT_GE(taken.reported, 100'000);
  EXPECT_FALSE(exists("ci-1/acme/web"));
  EXPECT_TRUE(exists("ci-1/acme/file"));
  EXPECT_THAT(trash(), IsEmpty());
  EXPECT_TRUE(fs::exists(root_ + "/outside/precious"));
  EXPECT_EQ(locks_.holds, 1);
  EXPECT_THAT(locks_.held, IsEmpty());
}

TEST_F(PurgeTest, WithoutPurgeBuildsNothingIsSeenTakenOrFreed) {
  make("ci-1/acme/web");
  const auto planned = list();
  ports::FilesystemSnapshot filesystem;
  filesystem.roles = {"builds"};
  EXPECT_TRUE(purge_.frees(filesystem));
  settings_.on_full.purge_builds = false;
  EXPECT_FALSE(purge_.frees(filesystem));
  EXPECT_THAT(evict(planned.front()).dropped, HasSubstr("switched off"));
  EXPECT_THAT(list(), IsEmpty());
  EXPECT_THAT(evict(planned.front()).dropped, HasSubstr("not of the last plan"));
  EXPECT_TRUE(exists("ci-1/acme/web/src/file"));
}

TEST_F(PurgeTest, ItFreesTheDiskOfTheBuildsAlone) {
  ports::FilesystemSnapshot filesystem;
  filesystem.roles = {"data_root", "root"};
  EXPECT_FALSE(purge_.frees(filesystem));
}

TEST_F(PurgeTest, WhatNobodyKnowsIsInUse) {
  make("ci-1/acme/web");
  const auto planned = list();
  running_.unknown = true;
  EXPECT_FALSE(testing::run_on(loop_, purge_.list(turn_)));
  running_.unknown = false;
  EXPECT_EQ(list().size(), 1U);
  running_.unknown = true;
  EXPECT_FALSE(testing::run_on(loop_, purge_.evict(planned.front(), turn_)));
  EXPECT_TRUE(exists("ci-1/acme/web/src/file"));
  EXPECT_THAT(locks_.held, IsEmpty());
}

TEST_F(PurgeTest, AJobThatStartsAfterThePlanKeepsItsCheckout) {
  make("ci-1/acme/web");
  ports::RunningJob late;
  late.agent = "ci-1";
  late.known_by = "process 4711";
  running_.on_second = {late};
  EXPECT_THAT(evict().dropped, HasSubstr("process 4711"));
  EXPECT_TRUE(exists("ci-1/acme/web/src/file"));
}

TEST_F(PurgeTest, LeasesByAnyPathThatLeadsThere) {
  make("ci-1/acme/web");
  make("ci-2/acme/api");
  fs::create_symlink(settings_.paths.builds, root_ + "/other");
  ports::RunningJob lease;
  lease.checkout = root_ + "/other/ci-1/../ci-1/acme/web/";
  lease.known_by = "lease 7";
  running_.jobs = {lease};
  EXPECT_THAT(order(), ElementsAre("ci-2/acme/api"));
  EXPECT_THAT(journal_.last("checkout.kept").reason, HasSubstr("1 of 2 checkouts are in use; checkout ci-1/acme/web"));
  list();
  EXPECT_EQ(journal_.count("checkout.kept"), 1U) << "said once";
}

TEST_F(PurgeTest, AFileThatIsOpenInItKeepsItAtThePlanAndAtTheLastMoment) {
  make("ci-1/acme/web");
  const auto planned = list();
  const UniqueFd open(::open(path("ci-1/acme/web/src/file").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(open.open());
  EXPECT_THAT(evict(planned.front()).dropped, HasSubstr("in use by process"));
  EXPECT_THAT(order(), IsEmpty());
  EXPECT_TRUE(exists("ci-1/acme/web/src/file"));
  EXPECT_THAT(trash(), IsEmpty());
}

TEST_F(PurgeTest, LeastRecentlyUsedFirstByTheKernelsStamps) {
  // Each made or used after the one before; the times that programs set say the opposite.
  for (const std::string name : {"ci-1/acme/b", "ci-1/acme/a", "ci-2/acme/c"}) {
    make(name);
    fs::last_write_time(path(name), fs::file_time_type::clock::now() - hours{1});
  }
  const auto changed_at = [this](const std::string& name) {
    struct stat info{};
    ::stat(path(name).c_str(), &info);
    return info.st_ctim.tv_sec * 1'000 + info.st_ctim.tv_nsec / 1'000'000;
  };
  // Later than that by a millisecond at least, which is what is told apart.
  const auto fetch = [&](const std::string& name, const std::string& than) {
    do {
      write(path(name + "/.git/FETCH_HEAD"));
    } while (changed_at(name + "/.git/FETCH_HEAD") <= changed_at(than));
  };
  fetch("ci-1/acme/a", "ci-2/acme/c");
  fetch("ci-1/acme/b", "ci-1/acme/a/.git/FETCH_HEAD");
  EXPECT_THAT(order(), ElementsAre("ci-2/acme/c", "ci-1/acme/a", "ci-1/acme/b"));
  for (const auto& one : list()) {
    EXPECT_EQ(one.last_use.by, one.id.ends_with("/c") ? "the folder itself" : ".git/FETCH_HEAD") << one.id;
  }
}

TEST_F(PurgeTest, YoungOnesStayButTheAskingAgentsDoNotAndItsNextGoesLast) {
  clock_.later = Duration{0};
  make("ci-1/acme/web");
  make("ci-1/acme/api");
  make("ci-2/acme/web");
  EXPECT_THAT(order(), IsEmpty());
  // The job may say what it likes: a path is compared, not followed.
  locks_.coming = {{"9", "ci-1", "web", path("ci-1/acme/web")}, {"10", "../../outside", "x", root_ + "/outside"}};
  EXPECT_THAT(order(), IsEmpty()) << "room is made for somebody else";
  turn_.for_job = "9";
  EXPECT_THAT(order(), ElementsAre("ci-1/acme/api", "ci-1/acme/web"));
  clock_.later = hours{5};
  steady_ = false;
  locks_.coming.clear();
  EXPECT_THAT(order(), IsEmpty()) << "ages mean nothing while the clock was set";
}

TEST_F(PurgeTest, TheEndOfAJobIsAUseThatNoStampTells) {
  make("ci-1/acme/web");
  make("ci-2/acme/web");
  fs::create_symlink(settings_.paths.builds, root_ + "/other");
  const auto now = clock_.now().wall;
  ended_.jobs = {{"12", root_ + "/other/ci-1/acme/web", now - hours{1}}, {"13", path("ci-2"), now}};
  EXPECT_THAT(order(), ElementsAre("ci-2/acme/web", "ci-1/acme/web"));
  ended_.jobs[0].ended = now - std::chrono::minutes{9};
  EXPECT_THAT(order(), ElementsAre("ci-2/acme/web"));
  for (const auto& one : list()) {
    EXPECT_EQ(one.last_use.by == "job 12", one.id == path("ci-1/acme/web")) << one.last_use.by;
  }
}

TEST_F(PurgeTest, AnotherOneInItsPlaceIsLeftAlone) {
  make("ci-1/acme/web");
  const auto planned = list();
  fs::rename(path("ci-1/acme/web"), path("ci-1/acme/aside"));
  EXPECT_THAT(evict(planned.front()).dropped, HasSubstr("gone, or another one"));
  make("ci-1/acme/web");
  EXPECT_THAT(evict(planned.front()).dropped, HasSubstr("gone, or another one"));
  fs::remove_all(path("ci-1/acme"));
  fs::create_symlink(root_ + "/outside/org", path("ci-1/acme"));
  EXPECT_THAT(evict(planned.front()).dropped, HasSubstr("gone, or another one"));
  EXPECT_TRUE(fs::exists(root_ + "/outside/org/pipeline/precious"));
}

// Where the trash is not ours: somebody else could put things in our way.
TEST_F(PurgeTest, WhatCannotBeRenamedIsRemovedWhereItIsWhileItsAgentIsHeld) {
  make("ci-1/acme/web");
  fs::create_symlink(root_ + "/outside", path(kTrashName));
  EXPECT_EQ(evict().dropped, "");
  EXPECT_FALSE(exists("ci-1/acme/web"));
  EXPECT_TRUE(fs::exists(root_ + "/outside/precious"));
  EXPECT_THAT(locks_.held, IsEmpty());
}

TEST_F(PurgeTest, AMountInItIsLeftWhereItWasAndReported) {
  make("ci-1/acme/web");
  fs::create_directories(path("ci-1/acme/web/cache"));
  ASSERT_EQ(::mount((root_ + "/outside").c_str(), path("ci-1/acme/web/cache").c_str(), nullptr, MS_BIND, nullptr), 0);
  const auto taken = evict();
  EXPECT_TRUE(exists("ci-1/acme/web/cache/precious"));
  EXPECT_EQ(::umount2(path("ci-1/acme/web/cache").c_str(), MNT_DETACH), 0);
  EXPECT_EQ(taken.dropped, "");
  EXPECT_FALSE(exists("ci-1/acme/web/src"));
  EXPECT_TRUE(fs::exists(root_ + "/outside/precious"));
  EXPECT_THAT(journal_.last("checkout.left").reason, HasSubstr("web/cache"));
  EXPECT_EQ(journal_.last("checkout.left").rule, "mounted");
}

TEST_F(PurgeTest, SizesAreKnownByAgentAfterAWalkAndOnlyOfADiskThatIsShort) {
  make("ci-1/acme/web");
  make("ci-1/acme/api");
  make("ci-2/acme/web");
  short_ = false;
  testing::run_void(loop_, sizes_.turn());
  EXPECT_THAT(sizes_.users(), IsEmpty());
  EXPECT_EQ(list().front().size, 0);
  short_ = true;
  testing::run_void(loop_, sizes_.turn());
  const auto users = sizes_.users();
  ASSERT_EQ(users.size(), 2U);
  EXPECT_EQ(users[0].kind, "checkouts");
  EXPECT_EQ(users[0].name, "ci-1");
  EXPECT_GE(users[0].bytes, 200'000);
  EXPECT_EQ(users[1].name, "ci-2");
  const auto all = list();
  for (const auto& one : all) EXPECT_GE(one.size, 100'000);
  for (const auto& one : all) evict(one);
  EXPECT_THAT(sizes_.users(), IsEmpty());
}

TEST_F(PurgeTest, AfterStopWhatWasThrownAwayStaysInTheTrash) {
  make("ci-1/acme/web");
  const auto planned = list();
  purge_.stop();
  EXPECT_THAT(evict(planned.front()).dropped, HasSubstr("the daemon stops"));
  EXPECT_FALSE(exists("ci-1/acme/web"));
  ASSERT_EQ(trash().size(), 1U);
  EXPECT_TRUE(fs::exists(trash().front() + "/src/file"));
}

TEST_F(PurgeTest, NoBuildsFolderNoCheckouts) {
  fs::remove_all(settings_.paths.builds);
  EXPECT_THAT(list(), IsEmpty());
  EXPECT_FALSE(fs::exists(settings_.paths.builds)) << "it is never made";
}

// 100,001 empty folders of one job switched the purge off for all, as long as they lay there.
TEST_F(PurgeTest, ACrowdHidesNoOther) {
  make("ci-1/acme/web");
  std::filesystem::create_directories(path("crowd/org"));
  for (int i = 0; i < 10'050; ++i) ASSERT_EQ(::mkdir(path("crowd/org/p" + std::to_string(i)).c_str(), 0755), 0);
  const auto all = list();
  EXPECT_EQ(std::count_if(all.begin(), all.end(), [](const auto& one) { return one.name == "checkout ci-1/acme/web"; }),
            1);
  EXPECT_GE(all.size(), 10'000U);
  EXPECT_LE(all.size(), 10'001U);
  EXPECT_THAT(journal_.last("checkout.kept").reason, HasSubstr("crowd/org has 10050 entries, of which any 10000"));
}

TEST_F(PurgeTest, TheManyOfOneAgentLeaveRoomForTheOthers) {
  make("ci-1/acme/web");
  for (int org = 0; org < 12; ++org) {
    const auto folder = path("crowd/o" + std::to_string(org));
    std::filesystem::create_directories(folder);
    for (int i = 0; i < 5'000; ++i) ASSERT_EQ(::mkdir((folder + "/p" + std::to_string(i)).c_str(), 0755), 0);
  }
  const auto all = list();
  EXPECT_EQ(std::count_if(all.begin(), all.end(), [](const auto& one) { return one.name == "checkout ci-1/acme/web"; }),
            1);
  EXPECT_LE(all.size(), 50'001U) << "half of what is looked at for each of two agents";
}

}  // namespace
}  // namespace buildwarden::disk
