#include "daemon/reclaim/reclaimer.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <utility>

#include "common/format.h"
#include "daemon/evictors/images.h"
#include "daemon/last_use/last_use_ledger.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_image_engine.h"
#include "tests/support/fake_journal.h"
#include "tests/support/reclaim.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {
namespace {

using std::chrono::hours;
using testing::names_of;
using testing::quick_pace;
using testing::run_on;
using testing::run_void;

// A disk of 100 GiB; what is deleted shows after `late` further measurements.
class FakeProbe final : public ports::FilesystemProbe {
 public:
  FakeProbe() {
    docker.mount = "/docker";
    docker.gate = true;
    docker.device = "8:1";
    docker.roles = {"data_root"};
    docker.keeps = {ports::Kept::kImages, ports::Kept::kVolumes};
    docker.marks.target = 25 * kGiB;
    docker.pressure.level = policy::Level::kLow;
    docker.reading.emplace();
    docker.reading->total = 100 * kGiB;
    docker.reading->free = 10 * kGiB;
  }
  boost::asio::awaitable<std::vector<ports::FilesystemSnapshot>> measure() override {
    ++measurements;
    if (wait_for > 0 && --wait_for == 0) {
      if (!into_reserve) docker.reading->free += pending;
      docker.reading->free_to_root += pending;
      docker.reading->free_inodes += inodes_each;
      pending = 0;
    }
    auto all = others;
    all.push_back(docker);
    co_return all;
  }
  void freed(Bytes bytes) {
    if (swallow) return;
    pending += only_inodes ? 0 : bytes;
    wait_for = late + 1;
  }
  ports::FilesystemSnapshot docker;
  std::vector<ports::FilesystemSnapshot> others;
  int late = 0;
  int measurements = 0;
  bool swallow = false;
  bool only_inodes = false;
  bool into_reserve = false;     // f_bavail stays where it is
  std::int64_t inodes_each = 0;  // by each deletion

 private:
  Bytes pending = 0;
  int wait_for = 0;
};

class FailingEvictor final : public ports::Evictor {
 public:
  [[nodiscard]] policy::RungId id() const override { return policy::RungId::kDanglingImages; }
  ports::Async<std::vector<policy::Candidate>> list(const policy::RungTurn&) override {
    ++asked;
    co_return Error(Errc::kTimeout, "the engine is slow");
  }
  ports::Async<ports::EvictionResult> evict(const policy::Candidate&, const policy::RungTurn&) override {
    co_return Error(Errc::kInvalid, "never listed anything");
  }
  int asked = 0;
};

boost::asio::awaitable<void> keep_result(ports::Async<ports::SpaceResult> work,
                                         std::vector<ports::SpaceResult>* results) {
  auto result = co_await std::move(work);
  if (result) results->push_back(*std::move(result));
}

class ReclaimerTest : public ::testing::Test {
 protected:
  ReclaimerTest() {
    engine_.freed = [this](Bytes bytes) { probe_.freed(bytes); };
    run_void(loop_, ledger_.connected(engine_.engine.identity, std::nullopt));
    // image 0 is the oldest: 15, 14, … 10 hours unused, 5 GiB each; the last two are in use and young.
    for (int at = 0; at < 6; ++at) {
      engine_.add_image(format("sha256:{}", at), {format("image:{}", at)}, 5 * kGiB);
      testing::run_void(loop_, ledger_.seen(engine_.ids()));
      clock_.advance(hours{1});
    }
    clock_.advance(hours{9});
    engine_.add_container("web", "sha256:4");
    ledger_.used("sha256:5", clock_.now().wall, "pull");
  }
  Reclaimer::Parts parts(std::vector<ports::Evictor*> rungs) {
    return Reclaimer::Parts{settings_, clock_, journal_, engine_, probe_, std::move(rungs), quick_pace(Duration{40}),
                            {}};
  }
  ports::SpaceResult ensure(Bytes free, bool dry_run = false) {
    ports::SpaceRequest request;
    request.free = free;
    request.wait = std::chrono::minutes{5};
    request.dry_run = dry_run;
    const auto result =
        run_on(loop_, reclaimer_.ensure(request, [this](const std::string& line) { progress_.push_back(line); }));
    EXPECT_TRUE(result);
    return result ? *result : ports::SpaceResult{};
  }
  using Names = std::vector<std::string>;

  Settings settings_;
  testing::FakeClock clock_;
  testing::FakeLedgerStore store_;
  testing::FakeJournal journal_;
  testing::FakeImageEngine engine_;
  boost::asio::io_context loop_;
  LastUseLedger ledger_{clock_, store_, journal_};
  FakeProbe probe_;
  FailingEvictor failing_;
  UnusedImages unused_{ImageInUseCheck::Parts{engine_, engine_, engine_, engine_, ledger_, clock_}};
  Reclaimer reclaimer_{parts({&failing_, &unused_})};
  Names progress_;
};

TEST_F(ReclaimerTest, TheLeastRecentlyUsedGoFirstAndItStopsAtTheGoal) {
  const auto result = ensure(19 * kGiB);
  EXPECT_TRUE(result.reached);
  EXPECT_EQ(names_of(result), (Names{"image:0", "image:1"}));
  EXPECT_EQ(result.free_before, 10 * kGiB);
  EXPECT_EQ(result.free_after, 20 * kGiB);
  EXPECT_EQ(result.steps[0].freed.bytes(), 5 * kGiB);
  EXPECT_EQ(result.steps[0].rule, "keep_used_within");
  EXPECT_EQ(progress_.size(), 2U);
  EXPECT_EQ(journal_.count("reclaim.step"), 2U);
  EXPECT_EQ(journal_.count("reclaim.done"), 1U);
  EXPECT_NE(journal_.last("reclaim.step").reason.find("freed 5.00 GiB"), std::string::npos)
      << journal_.last("reclaim.step").reason;
}

TEST_F(ReclaimerTest, WithoutAnAmountItGoesOnToTheTargetMark) {
  const auto result = ensure(0);
  EXPECT_TRUE(result.reached);
  EXPECT_EQ(result.free_after, 25 * kGiB);
}

TEST_F(ReclaimerTest, WhatIsInUseOrYoungStaysAndThatIsSaid) {
  const auto result = ensure(90 * kGiB);
  EXPECT_FALSE(result.reached);
  EXPECT_EQ(names_of(result), (Names{"image:0", "image:1", "image:2", "image:3"}));
  EXPECT_EQ(journal_.count("reclaim.short"), 1U);
  EXPECT_EQ(engine_.images.size(), 2U);
  EXPECT_TRUE(result.reason.ends_with("Left: images: 1 (5.00 GiB) in use, 1 (5.00 GiB) used within disk.grace."));
}

TEST_F(ReclaimerTest, ARungThatFailsIsRecordedAndTheNextGoesOn) {
  EXPECT_TRUE(ensure(15 * kGiB).reached);
  EXPECT_EQ(failing_.asked, 1);
  EXPECT_EQ(journal_.count("reclaim.rung_failed"), 1U);
  const auto stats = reclaimer_.stats();
  ASSERT_EQ(stats.size(), 2U);
  EXPECT_EQ(stats[0].rung, "dangling_images");
  EXPECT_EQ(stats[0].runs.at("failed"), 1U);
  EXPECT_EQ(stats[1].runs.at("freed"), 1U);
  EXPECT_EQ(stats[1].freed, 5 * kGiB);
}

TEST_F(ReclaimerTest, DeletingWithoutFreeingIsAnError) {
  probe_.swallow = true;
  EXPECT_FALSE(ensure(15 * kGiB).reached);
  ASSERT_EQ(journal_.count("reclaim.nothing_freed"), 1U);
  EXPECT_EQ(journal_.last("reclaim.nothing_freed").severity, ports::Severity::kError);
  EXPECT_EQ(reclaimer_.stats()[1].runs.at("nothing"), 1U);
}

TEST_F(ReclaimerTest, AShortageOfInodesIsClimbedForUntilTheInodesAreThere) {
  probe_.docker.reading->free = 50 * kGiB;
  probe_.docker.reading->total_inodes = 1000;
  probe_.docker.reading->free_inodes = 10;
  probe_.docker.marks.target_inodes = 200;
  probe_.inodes_each = 100;
  probe_.only_inodes = true;
  const auto result = ensure(0);
  EXPECT_TRUE(result.reached);
  EXPECT_EQ(names_of(result), (Names{"image:0", "image:1"}));
  EXPECT_EQ(result.steps[0].freed.bytes(), 0);
  EXPECT_EQ(result.steps[0].freed.inodes(), 100);
  EXPECT_EQ(journal_.count("reclaim.nothing_freed"), 0U);
  EXPECT_EQ(reclaimer_.stats()[1].runs.at("freed"), 1U);
  const auto reason = journal_.last("reclaim.done").reason;
  EXPECT_NE(reason.find("50.00 GiB free of 25.00 GiB wanted"), std::string::npos) << reason;
  const auto step = result.steps[0].reason;
  EXPECT_NE(step.find("freed 0 B and 100 inodes"), std::string::npos) << step;
  EXPECT_NE(step.find("110 inodes free of 200 wanted on /docker"), std::string::npos) << step;
}

TEST_F(ReclaimerTest, WhatIsFreedWhileTheReserveIsInUseShows) {
  probe_.docker.reading->free = 0;
  probe_.docker.reading->free_to_root = kGiB;
  probe_.into_reserve = true;
  const auto result = ensure(15 * kGiB);
  ASSERT_FALSE(result.steps.empty());
  EXPECT_EQ(result.steps[0].freed.bytes(), 5 * kGiB);
  EXPECT_EQ(journal_.count("reclaim.nothing_freed"), 0U);
}

TEST_F(ReclaimerTest, ABallastThatIsGivenMeanwhileIsNoFreedByte) {
  probe_.docker.ballast.bytes = kGiB;
  engine_.before_remove = [this] {
    probe_.docker.reading->free += std::exchange(probe_.docker.ballast.bytes, 0);
    probe_.docker.reading->free_to_root = 0;
  };
  const auto result = ensure(15 * kGiB);
  ASSERT_EQ(result.steps.size(), 1U);
  EXPECT_EQ(result.steps[0].freed.bytes(), 5 * kGiB);
}

TEST_F(ReclaimerTest, SpaceThatShowsLateIsWaitedFor) {
  probe_.late = 3;
  const auto result = ensure(15 * kGiB);
  EXPECT_TRUE(result.reached);
  EXPECT_EQ(names_of(result), (Names{"image:0"}));
  EXPECT_EQ(result.steps[0].freed.bytes(), 5 * kGiB);
}

TEST_F(ReclaimerTest, WhatAWriterTakesMeanwhileIsNotWaitedFor) {
  Bytes to_take = 10 * kGiB;
  engine_.freed = [this, &to_take](Bytes bytes) {
    const auto taken = std::min(bytes, to_take);
    to_take -= taken;
    probe_.freed(bytes - taken);
  };
  const auto result = ensure(30 * kGiB);
  EXPECT_EQ(names_of(result), (Names{"image:0", "image:1", "image:2", "image:3"}));
  EXPECT_EQ(result.steps[0].freed.bytes(), 0);
  EXPECT_LE(probe_.measurements, 10) << "one before and one after each deletion";
}

TEST_F(ReclaimerTest, WhatOfSeveralDeletionsShowsLateCostsNoFurtherOne) {
  probe_.late = 3;
  const auto result = ensure(20 * kGiB);
  EXPECT_TRUE(result.reached);
  EXPECT_EQ(names_of(result), (Names{"image:0", "image:1"}));
  EXPECT_EQ(result.steps[1].freed.bytes(), 10 * kGiB) << "with that of the one before";
}

TEST_F(ReclaimerTest, ADryRunHasTheSamePlanAndChangesNothing) {
  const auto planned = ensure(25 * kGiB, true);
  EXPECT_TRUE(engine_.removed.empty());
  EXPECT_EQ(engine_.images.size(), 6U);
  EXPECT_EQ(planned.steps[0].freed.bytes(), 0);
  EXPECT_NE(planned.steps[0].reason.find("Would delete image:0"), std::string::npos);
  EXPECT_EQ(reclaimer_.stats()[1].freed, 0);
  const auto done = ensure(25 * kGiB, false);
  EXPECT_EQ(names_of(planned), names_of(done));
  EXPECT_EQ(names_of(done).size(), 3U);
  EXPECT_TRUE(planned.reached);
}

TEST_F(ReclaimerTest, ADryRunAtCriticalListsNothingTwice) {
  probe_.docker.pressure.level = policy::Level::kCritical;
  ledger_.used("sha256:3", clock_.now().wall, "pull");
  clock_.advance(hours{1});  // images 3 and 5: beyond the grace, within the age
  const auto planned = ensure(90 * kGiB, true);
  const auto done = ensure(90 * kGiB, false);
  EXPECT_EQ(names_of(planned), (Names{"image:0", "image:1", "image:2", "image:3", "image:5"}));
  EXPECT_EQ(names_of(planned), names_of(done));
}

TEST_F(ReclaimerTest, TheConfigurationsDryRunBeatsTheRequest) {
  settings_.dry_run = true;
  EXPECT_FALSE(ensure(15 * kGiB, false).steps.empty()) << "what it would do is said all the same";
  EXPECT_TRUE(engine_.removed.empty());
}

TEST_F(ReclaimerTest, WhatCannotBeMeasuredIsNotClimbedFor) {
  probe_.docker.reading.reset();
  const auto result = ensure(15 * kGiB);
  EXPECT_FALSE(result.reached);
  EXPECT_TRUE(engine_.removed.empty());
  EXPECT_EQ(result.reason, "/docker could not be measured, so nothing is deleted for it.");
}

TEST_F(ReclaimerTest, AnUnknownLevelIsNotClimbedFor) {
  probe_.docker.pressure.level = policy::Level::kUnknown;
  EXPECT_FALSE(ensure(15 * kGiB).reached);
  EXPECT_TRUE(engine_.removed.empty());
}

TEST_F(ReclaimerTest, AFullDiskThatNoRungCanFreeCostsNoImages) {
  ports::FilesystemSnapshot builds = probe_.docker;
  builds.mount = "/builds";
  builds.device = "8:2";
  builds.roles = {"builds"};
  builds.keeps.clear();
  probe_.others.push_back(builds);
  probe_.docker.reading->free = 50 * kGiB;
  const auto result = ensure(15 * kGiB);
  EXPECT_FALSE(result.reached);
  EXPECT_TRUE(engine_.removed.empty());
  EXPECT_NE(result.reason.find("no step of the ladder frees /builds"), std::string::npos) << result.reason;
}

TEST_F(ReclaimerTest, ADroppedCandidateIsJournalledAndTheNextTaken) {
  bool first = true;
  engine_.before_remove = [this, &first] {
    if (first) engine_.add_container("job", "sha256:0");
    first = false;
  };
  const auto result = ensure(15 * kGiB);
  EXPECT_EQ(names_of(result), (Names{"image:1"}));
  ASSERT_EQ(journal_.count("reclaim.dropped"), 1U);
  EXPECT_NE(journal_.last("reclaim.dropped").reason.find("Left image:0 alone"), std::string::npos);
}

TEST_F(ReclaimerTest, WhenTheTimeIsOverItStopsBetweenTwoDeletions) {
  engine_.before_remove = [this] { clock_.advance(std::chrono::minutes{6}); };
  const auto result = ensure(90 * kGiB);
  EXPECT_EQ(result.steps.size(), 1U);
  EXPECT_NE(result.reason.find("when the time of 5m was over"), std::string::npos) << result.reason;
}

TEST_F(ReclaimerTest, ASecondCallerWaitsAndIsThenServed) {
  ports::SpaceRequest request;
  request.free = 15 * kGiB;
  request.wait = std::chrono::minutes{5};
  std::vector<ports::SpaceResult> results;
  testing::Background first(loop_, keep_result(reclaimer_.ensure(request, {}), &results));
  request.free = 20 * kGiB;
  testing::Background second(loop_, keep_result(reclaimer_.ensure(request, {}), &results));
  testing::run_until(loop_, [&results] { return results.size() == 2; });
  testing::run_until(loop_, [&] { return first.ended() && second.ended(); });
  EXPECT_EQ(names_of(results[0]), (Names{"image:0"}));
  EXPECT_EQ(names_of(results[1]), (Names{"image:1"}));
  EXPECT_FALSE(reclaimer_.busy());
}

TEST_F(ReclaimerTest, AfterStopNothingIsDeleted) {
  reclaimer_.stop();
  EXPECT_FALSE(ensure(15 * kGiB).reached);
  EXPECT_TRUE(engine_.removed.empty());
}

TEST_F(ReclaimerTest, EnoughIsEnoughWithoutAWord) {
  const auto result = ensure(5 * kGiB);
  EXPECT_TRUE(result.reached);
  EXPECT_TRUE(result.steps.empty());
  EXPECT_TRUE(journal_.events.empty());
}

// After the first deletion.
TEST_F(ReclaimerTest, SettingsThatChangeOnTheWayCountAtOnce) {
  engine_.freed = [this](Bytes bytes) {
    probe_.freed(bytes);
    settings_.disk.keep = {"image:1"};
    reclaimer_.settings_changed();
  };
  const auto result = ensure(19 * kGiB);
  EXPECT_TRUE(result.reached);
  EXPECT_EQ(names_of(result), (Names{"image:0", "image:2"})) << "image:1 was listed before it was kept";
}

TEST_F(ReclaimerTest, ALongerAgeOnTheWaySparesWhatWasOldBefore) {
  engine_.freed = [this](Bytes bytes) {
    probe_.freed(bytes);
    settings_.disk.keep_used_within = std::chrono::minutes{60 * 14 + 30};
    reclaimer_.settings_changed();
  };
  EXPECT_EQ(names_of(ensure(24 * kGiB)), (Names{"image:0"}));
}

TEST_F(ReclaimerTest, ADryRunThatIsSwitchedOnEndsTheClimb) {
  engine_.freed = [this](Bytes bytes) {
    probe_.freed(bytes);
    settings_.dry_run = true;
    reclaimer_.settings_changed();
  };
  const auto result = ensure(24 * kGiB);
  EXPECT_FALSE(result.reached);
  EXPECT_EQ(names_of(result), (Names{"image:0"}));
  EXPECT_NE(result.reason.find("dry_run was switched on"), std::string::npos) << result.reason;
}

}  // namespace
}  // namespace buildwarden::disk
