// Several filesystems, several rungs with one id: each rung runs only for what it frees.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "common/format.h"
#include "tests/unit/disk/places_fixture.h"

namespace buildwarden::disk {
namespace {

using std::chrono::hours;
using testing::names_of;
using testing::quick_pace;
using testing::run_on;

// Issue 14: what a job may ask for is judged by it, before anything is deleted.
TEST_F(ReclaimerPlacesTest, AnEstimateSaysWhatCouldBeFreeAndTellsNobody) {
  disks_.add("8:1", "data_root", 10 * kGiB).gate = true;
  images_.put("old", "8:1");
  images_.put("older", "8:1");
  ports::SpaceRequest request;
  request.free = 40 * kGiB;
  request.wait = std::chrono::minutes{1};
  const auto far = run_on(loop_, reclaimer_.estimate(request));
  EXPECT_TRUE(far.known);
  EXPECT_FALSE(far.reached);
  EXPECT_EQ(far.free_after, 20 * kGiB);
  request.free = 15 * kGiB;
  EXPECT_TRUE(run_on(loop_, reclaimer_.estimate(request)).reached);
  request.free = 40 * kGiB;
  images_.things[0].is_unsized = true;
  EXPECT_FALSE(run_on(loop_, reclaimer_.estimate(request)).known);
  images_.failure = Error(Errc::kTimeout, "the engine is slow");
  EXPECT_FALSE(run_on(loop_, reclaimer_.estimate(request)).known);
  EXPECT_EQ(images_.things.size(), 2U);
  EXPECT_TRUE(journal_.events.empty()) << "nothing was decided";
}

// Before the first thing goes, and only where one goes.
TEST_F(ReclaimerPlacesTest, WhyAReclaimBeganIsAnEventOfItsOwn) {
  auto& disk = disks_.add("8:1", "data_root", 10 * kGiB);
  ensure(true);
  EXPECT_EQ(journal_.count("reclaim.began"), 0U) << "nothing may go";
  disk.pressure.reclaim = true;
  disk.pressure.rule = "forecast";
  disk.pressure.reason = "it would be critical in 4 min";
  images_.put("old", "8:1");
  images_.put("older", "8:1");
  ensure(false);
  ASSERT_EQ(journal_.count("reclaim.began"), 1U);
  const auto began = journal_.last("reclaim.began");
  EXPECT_EQ(began.rule, "forecast");
  EXPECT_NE(began.reason.find("it would be critical in 4 min"), std::string::npos) << began.reason;
  const auto begins = std::find_if(journal_.events.begin(), journal_.events.end(),
                                   [](const ports::Event& one) { return one.kind == "reclaim.began"; });
  ASSERT_NE(begins + 1, journal_.events.end());
  EXPECT_EQ((begins + 1)->kind, "reclaim.step") << "before the first thing goes";
  disk.reading->free = 10 * kGiB;
  disk.pressure.rule = "free_below_low";
  images_.put("next", "8:1");
  images_.put("another", "8:1");
  ensure(false);
  EXPECT_EQ(journal_.last("reclaim.began").rule, "low");
  disk.reading->free = 10 * kGiB;
  images_.put("last", "8:1");
  ensure(true);
  EXPECT_EQ(journal_.last("reclaim.began").rule, "asked");
}

// What it would delete may be enough; the last step is told only where it would be taken.
TEST_F(ReclaimerPlacesTest, ADryRunTellsOfTheLastStepWhereItWouldLeaveTheDiskCritical) {
  auto& disk = disks_.add("8:1", "data_root", 1 * kGiB);
  disk.gate = true;
  disk.marks.critical = 5 * kGiB;
  disk.pressure.level = policy::Level::kCritical;
  auto result = ensure(true, true);
  ASSERT_TRUE(result.last_resort);
  EXPECT_EQ(result.last_resort->reason, "it would go for 8:1");
  EXPECT_FALSE(ensure(true).last_resort) << "a climb in earnest does it";
  disk.gate = false;
  EXPECT_FALSE(ensure(true, true).last_resort) << "it gates no jobs";
  disk.gate = true;
  gentle_ = true;
  EXPECT_FALSE(ensure(true, true).last_resort) << "the operator's wishes are not known";
  gentle_ = false;
  images_.put("image", "8:1");
  result = ensure(true, true);
  EXPECT_FALSE(result.reached) << "still below the target";
  EXPECT_FALSE(result.last_resort) << "but not critical";
  disk.pressure.level = policy::Level::kLow;
  images_.things.clear();
  EXPECT_FALSE(ensure(true, true).last_resort) << "the ladder ends before";
}

TEST_F(ReclaimerPlacesTest, AllRungsOfOneIdAreClimbedInTheirOrder) {
  disks_.add("8:2", "builds", 10 * kGiB);
  caches_.put("cache", "8:2");
  trash_.put("trash", "8:2", hours{90});
  trash_.put("more trash", "8:2", hours{20});
  const auto result = ensure(true);
  EXPECT_TRUE(result.reached);
  EXPECT_EQ(names_of(result), (Names{"cache", "trash", "more trash"}));
  EXPECT_EQ(result.free_after, 25 * kGiB);
  ASSERT_EQ(reclaimer_.stats().size(), 3U);
  EXPECT_EQ(reclaimer_.stats()[0].runs.at("freed"), 2U);
}

TEST_F(ReclaimerPlacesTest, OneOfThemFailingIsNotTheNextOnes) {
  disks_.add("8:2", "builds", 20 * kGiB);
  caches_.failure = Error(Errc::kIo, "no such folder");
  trash_.put("trash", "8:2");
  EXPECT_EQ(names_of(ensure(true)), (Names{"trash"}));
  EXPECT_EQ(caches_.turns.size(), 1U);
  EXPECT_EQ(journal_.count("reclaim.rung_failed"), 1U);
}

TEST_F(ReclaimerPlacesTest, ARungRunsOnlyForAFilesystemThatItFrees) {
  disks_.add("8:1", "data_root", 50 * kGiB);
  disks_.add("8:2", "builds", 20 * kGiB);
  images_.put("image", "");
  trash_.put("trash", "8:2");
  EXPECT_EQ(names_of(ensure(true)), (Names{"trash"}));
  EXPECT_TRUE(images_.turns.empty());
}

TEST_F(ReclaimerPlacesTest, WhatLiesElsewhereStays) {
  disks_.add("8:2", "builds", 50 * kGiB);
  disks_.add("8:3", "cache_dirs", 20 * kGiB);
  caches_.put("on builds, older", "8:2", hours{90});
  caches_.put("in the cache", "8:3");
  caches_.put("in the cache, younger", "8:3", hours{9});
  for (const bool dry_run : {true, false}) {
    const auto result = ensure(true, dry_run);
    EXPECT_TRUE(result.reached);
    EXPECT_EQ(names_of(result), (Names{"in the cache"}));
  }
}

TEST_F(ReclaimerPlacesTest, OneThatIsCriticalOpensNoSecondPassOnAnother) {
  disks_.add("8:1", "data_root", 10 * kGiB);
  disks_.add("8:2", "builds", 1 * kGiB).pressure.level = policy::Level::kCritical;
  ensure(true);
  ASSERT_EQ(images_.turns.size(), 1U);
  EXPECT_EQ(images_.turns[0].pass, 1);
  EXPECT_FALSE(images_.turns[0].engine_cache) << "only critical brings the engine's own cache in";
  disks_.all["8:1"].pressure.level = policy::Level::kCritical;
  ensure(true);
  EXPECT_EQ(images_.turns.size(), 3U);
}

TEST_F(ReclaimerPlacesTest, TheBackgroundSparesWhatWasWell) {
  auto& docker = disks_.add("8:1", "data_root", 20 * kGiB);  // above low, below target: nothing has to go
  docker.pressure.level = policy::Level::kOk;
  docker.pressure.reclaim = false;
  disks_.add("8:2", "builds", 20 * kGiB);
  images_.put("image", "");
  trash_.put("trash", "8:2");
  EXPECT_EQ(names_of(ensure(false)), (Names{"trash"}));
  EXPECT_EQ(names_of(ensure(true)), (Names{"image"})) << "a person asks for the target everywhere";
}

TEST_F(ReclaimerPlacesTest, TheBackgroundNeverTakesUnknownForWell) {
  auto& docker = disks_.add("8:1", "data_root", 20 * kGiB);
  docker.pressure.level = policy::Level::kUnknown;
  docker.pressure.reclaim = false;
  docker.reading.reset();
  disks_.add("8:2", "builds", 20 * kGiB);
  trash_.put("trash", "8:2");
  const auto result = ensure(false);
  EXPECT_FALSE(result.reached);
  EXPECT_EQ(names_of(result), (Names{"trash"}));
  EXPECT_EQ(result.reason, "/data_root could not be measured, so nothing is deleted for it.");
}

TEST_F(ReclaimerPlacesTest, WhatIsTriedInVainForDaysIsToldNowAndThen) {
  const auto told = [this] { return journal_.count("reclaim.short"); };
  disks_.add("8:1", "data_root", 1 * kGiB);
  for (int i = 0; i < 48; ++i) ensure(false);
  EXPECT_EQ(told(), 7U) << "the 1st, 2nd, 4th, 8th, 16th, 32nd, 48th";
  ensure(true);
  EXPECT_EQ(told(), 8U) << "whoever asks is told";
  disks_.all["8:1"].pressure.level = policy::Level::kCritical;
  ensure(false);
  EXPECT_EQ(told(), 9U) << "it is worse now";
  images_.put("image", "8:1");
  ensure(false);
  EXPECT_EQ(told(), 10U) << "it freed something";
  ensure(false);
  EXPECT_EQ(told(), 11U) << "counted anew";
}

TEST_F(ReclaimerPlacesTest, WhetherAnythingCanBeFreedIsWhatTheRungsSay) {
  EXPECT_TRUE(reclaimer_.can_free(disks_.add("8:3", "cache_dirs", 0)));
  EXPECT_FALSE(reclaimer_.can_free(disks_.add("8:4", "root", 0)));
}

TEST_F(ReclaimerPlacesTest, OnlyADryRunIsToldTwiceWhatWasAskedOnce) {
  disks_.add("8:1", "data_root", 1 * kGiB).pressure.level = policy::Level::kCritical;
  ensure(true, true);
  ASSERT_EQ(images_.turns.size(), 2U) << "both passes";
  EXPECT_TRUE(images_.turns[0].found);
  EXPECT_EQ(images_.turns[0].found, images_.turns[1].found);
  ensure(true, true);
  EXPECT_NE(images_.turns[0].found, images_.turns[2].found) << "another plan asks again";
  images_.turns.clear();
  ensure(true);
  for (const auto& turn : images_.turns) EXPECT_FALSE(turn.found);
}

// A reclaimer whose pauses would outlast the test.
class ReclaimerPaceTest : public ReclaimerPlacesTest {
 protected:
  ReclaimerPaceTest() {
    disks_.add("8:1", "data_root", 10 * kGiB);
    for (const auto* name : {"a", "b", "c"}) images_.put(name, "8:1");
  }
  static ReclaimPace slow() {
    auto slow = quick_pace(Duration{10});
    slow.pause = hours{1};
    return slow;
  }
  static ports::SpaceRequest request(bool on_request) {
    ports::SpaceRequest request;
    request.wait = std::chrono::minutes{5};
    request.on_request = on_request;
    return request;
  }
  Reclaimer slow_{Reclaimer::Parts{settings_, clock_, journal_, engine_, disks_, {&images_}, slow(), {}, {}}};
};

TEST_F(ReclaimerPaceTest, WhoeverAskedWaitsForNoPause) {
  const auto result = run_on(loop_, slow_.ensure(request(true), {}));
  ASSERT_TRUE(result);
  EXPECT_EQ(names_of(*result), (Names{"a", "b", "c"}));
}

TEST_F(ReclaimerPaceTest, TheBackgroundPausesBetweenTwoDeletionsWhileItIsNotCritical) {
  std::optional<Result<ports::SpaceResult>> result;
  testing::Background climb(loop_, testing::detail::keep(slow_.ensure(request(false), {}), &result));
  testing::run_until(loop_, [this] { return images_.things.size() < 3; });
  while (loop_.poll() > 0) {
  }
  EXPECT_EQ(images_.things.size(), 2U) << "the first at once, and then a pause";
  slow_.stop();
  testing::run_until(loop_, [&climb] { return climb.ended(); });
  ASSERT_TRUE(result && *result);
  EXPECT_EQ(names_of(**result), (Names{"a"}));
}

// A job that asks in a loop for room that cannot be made pushed everything else out of the journal.
TEST_F(ReclaimerPlacesTest, WhatOthersThanRootAskForInVainIsToldOnDemand) {
  disks_.add("8:1", "data_root", 10 * kGiB);
  images_.failure = Error(Errc::kTimeout, "the engine is slow");
  ports::SpaceRequest request;
  request.wait = std::chrono::minutes{1};
  for (const auto* who : {"uid 2000", "job 42", "uid 0", "the disk watch"}) {
    request.on_behalf_of = who;
    request.on_request = std::string(who) != "the disk watch";
    ASSERT_TRUE(run_on(loop_, reclaimer_.ensure(request, {})));
    const bool on_demand = std::string(who) == "uid 2000" || std::string(who) == "job 42";
    EXPECT_EQ(ports::is_on_demand(journal_.last("reclaim.rung_failed")), on_demand) << who;
    EXPECT_EQ(ports::is_on_demand(journal_.last("reclaim.short")), on_demand) << who;
  }
}

// Who asked may have another way to delete images.
TEST_F(ReclaimerPlacesTest, ThatNoImageCouldGoIsSaidWhereTooLittleIsFree) {
  disks_.add("8:1", "data_root", 10 * kGiB);
  EXPECT_EQ(ensure(true).images_failed, "") << "there was nothing to take";
  away_ = "the engine cannot be reached";
  const auto unasked = ensure(true);
  EXPECT_EQ(unasked.images_failed, away_);
  EXPECT_TRUE(unasked.hindered);
  images_.failure = Error(Errc::kTimeout, "the list took too long");
  EXPECT_EQ(ensure(true).images_failed, "the list took too long");
  away_.clear();
  EXPECT_EQ(ensure(true).images_failed, "the list took too long");
  images_.failure.reset();
  caches_.failure = Error(Errc::kIo, "a folder");
  EXPECT_EQ(ensure(true).images_failed, "") << "no program of the engine's helps";
  away_ = "the engine cannot be reached";
  disks_.all.at("8:1").reading->free = 90 * kGiB;
  EXPECT_EQ(ensure(true).images_failed, "") << "there is enough";
}

}  // namespace
}  // namespace buildwarden::disk
