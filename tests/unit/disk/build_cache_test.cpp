#include "daemon/evictors/build_cache.h"

#include <gtest/gtest.h>

#include "daemon/last_use/last_use_ledger.h"
#include "daemon/last_use/savings_ledger.h"
#include "daemon/last_use/worth_ledger.h"
#include "tests/unit/disk/build_cache_fixture.h"

namespace buildwarden::disk {
namespace {

using policy::RungId;
using std::chrono::hours;
using std::chrono::minutes;
using testing::run_on;

// Issue 18: what costs least to get back goes first, whichever cache it is of, and the candidates say so. What is made
// again after all is regretted.
TEST_F(BuildCacheEvictorTest, ByValueTheCheapestOfEveryBuilderGoFirst) {
  testing::FakeWorthStore store;
  SavingsLedger savings({clock_, store});
  testing::run_void(loop_, savings.load());
  WorthLedger worth({clock_, store, workers_, &savings});
  testing::run_void(loop_, worth.connected(engine_.engine.identity));
  auto with_worth = parts();
  with_worth.worth = &worth;
  with_worth.witness = &worth;
  BuildCacheEvictor rung(RungId::kBuildCache, std::move(with_worth));
  sources_[1].builder = "s3";
  for (auto& record : builder_.records) {
    record.created = record.last_used - minutes{10};
    record.description = "COPY " + record.id;
  }
  const auto& dear = builder_.records[0];  // unused for longest
  std::vector<policy::BuildStep> steps = {{"[2/2] " + dear.description, dear.created - hours{1}, dear.created}};
  testing::run_void(loop_, worth.learn_steps("s3", steps, builder_.records));
  own_.records.clear();
  policy::EvictionRules rules;
  rules.by_value = true;
  std::string order;
  for (const auto& step : policy::rank(list(rung), rules, clock_.now()).order) {
    ASSERT_TRUE(step.value);
    order += format("{} ", format_duration(clock_.now().wall - step.last_use.at));
    EXPECT_EQ(step.value->is_estimated, step.last_use.at != dear.last_used);
  }
  EXPECT_EQ(order, "11h 5h 17h ");
  settings_.disk.rank_by = RankBy::kLastUse;
  EXPECT_EQ(plan(rung), (Steps{"builder:s3 17h", "builder:s3 11h", "builder:s3 5h"}));
  EXPECT_FALSE(list(rung)[0].value);
  settings_.disk.rank_by = RankBy::kValue;
  auto again = dear;
  again.id = "again";
  again.created = clock_.now().wall + minutes{1};
  ASSERT_TRUE(run_on(loop_, rung.evict(list(rung)[2], turn_)));
  clock_.advance(minutes{1});
  testing::run_void(loop_, worth.learn_steps("s3", {}, {again}));
  EXPECT_DOUBLE_EQ(savings.savings_view().host->at(1).regretted.total.seconds, 1800) << "an hour, or another version";
}

TEST_F(BuildCacheEvictorTest, TheAgeHoldsInEveryBuilderAndTheOldestGoFirst) {
  EXPECT_EQ(plan(by_age_),
            (Steps{"engine 20h", "builder:s3 17h", "engine 14h", "builder:s3 11h", "engine 8h", "builder:s3 5h"}));
  const auto steps = list(by_age_);
  EXPECT_EQ(steps[0].name, "1 records of the engine's build cache");
  EXPECT_EQ(steps[0].size, kGiB);
  EXPECT_EQ(steps[3].name, "1 records of builder s3's build cache");
}

TEST_F(BuildCacheEvictorTest, AStepIsPrunedWhereItBelongs) {
  const auto steps = list(by_age_);
  ASSERT_EQ(steps.size(), 6U);
  EXPECT_EQ(run_on(loop_, by_age_.evict(steps[3], turn_))->reported, kGiB);
  EXPECT_TRUE(own_.prunes.empty());
  EXPECT_EQ(builder_.prunes, (std::vector<FakeCache::Prune>{{{"hours17"}, hours{4}}}));
  ASSERT_TRUE(run_on(loop_, by_age_.evict(steps[1], turn_)));
  EXPECT_EQ(own_.prunes, (std::vector<FakeCache::Prune>{{{"hours14"}, hours{4}}}));
}

// Of 10 GiB: the engine's cache may hold 3.5, the builder's 1.5.
TEST_F(BuildCacheEvictorTest, TheShareIsGoneDownToWhateverTheAge) {
  turn_ = {RungId::kBuildCacheShare, 1, minutes{10}};
  EXPECT_EQ(plan(by_share_), (Steps{"engine 20h", "builder:s3 17h", "builder:s3 11h", "builder:s3 5h"}));
  meter_.disk.reading->total = 100 * kGiB;
  EXPECT_TRUE(list(by_share_).empty());
}

// The builders' volumes on a filesystem of their own: each step names where it frees, and the share is of that.
TEST_F(BuildCacheEvictorTest, VolumesOnAnotherFilesystemAreFreedThere) {
  meter_.disk.device = "8:1";
  meter_.disk.keeps = {ports::Kept::kImages};
  ports::FilesystemSnapshot volumes;
  volumes.device = "8:2";
  volumes.roles = {"volumes"};
  volumes.keeps = {ports::Kept::kVolumes};
  volumes.reading.emplace();
  volumes.reading->total = 100 * kGiB;
  meter_.more = {volumes};
  EXPECT_TRUE(by_age_.frees(meter_.disk));
  EXPECT_TRUE(by_age_.frees(volumes));
  for (const auto& step : list(by_age_)) {
    EXPECT_EQ(step.device, step.id.starts_with("engine") ? "8:1" : "8:2") << step.id;
  }
  turn_ = {RungId::kBuildCacheShare, 1, minutes{10}};
  EXPECT_EQ(plan(by_share_), (Steps{"engine 20h"})) << "15 % of 100 GiB are more than the builder has";
  meter_.more[0].reading.reset();
  EXPECT_FALSE(run_on(loop_, by_share_.list(turn_)));
}

TEST_F(BuildCacheEvictorTest, WithoutTheDisksSizeNoShareIsKnown) {
  turn_ = {RungId::kBuildCacheShare, 1, minutes{10}};
  meter_.disk.reading.reset();
  const auto listed = run_on(loop_, by_share_.list(turn_));
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().code(), Errc::kUnavailable);
}

TEST_F(BuildCacheEvictorTest, TheShareSparesTheGraceAndWhatAJobMayHaveUsed) {
  turn_ = {RungId::kBuildCacheShare, 1, minutes{10}};
  builder_.records.push_back(record(0));
  engine_.in_use_set.oldest_job_start = clock_.now().wall - hours{12};
  EXPECT_EQ(plan(by_share_), (Steps{"engine 20h", "builder:s3 17h"}));
  const auto steps = list(by_share_);
  engine_.in_use_set.oldest_job_start = clock_.now().wall - hours{18};  // since the plan an older one was found
  ASSERT_TRUE(run_on(loop_, by_share_.evict(steps.at(1), turn_)));
  EXPECT_EQ(builder_.prunes.at(0).unused_for, Duration{hours{18}});
}

TEST_F(BuildCacheEvictorTest, TheEnginesOwnStaysOutUntilItIsAllowed) {
  turn_.engine_cache = false;
  EXPECT_EQ(plan(by_age_), (Steps{"builder:s3 17h", "builder:s3 11h", "builder:s3 5h"}));
}

TEST_F(BuildCacheEvictorTest, AfterTheClockWasSetOnlyTheShareGoesOnAndOnlyBeyondWhatItMustSpare) {
  clock_set_ago_ = hours{4};
  EXPECT_TRUE(list(by_age_).empty());
  turn_ = {RungId::kBuildCacheShare, 1, minutes{10}};
  EXPECT_FALSE(list(by_share_).empty());
  engine_.in_use_set.oldest_job_start = clock_.now().wall - hours{5};  // it began before the clock was set
  EXPECT_TRUE(list(by_share_).empty());
  engine_.in_use_set.oldest_job_start.reset();
  clock_set_ago_ = minutes{10};
  EXPECT_TRUE(list(by_share_).empty());
}

TEST_F(BuildCacheEvictorTest, OneThatFailsIsRecordedAndTheOthersAreListed) {
  builder_.fail_list = Error(Errc::kTimeout, "frozen");
  EXPECT_EQ(plan(by_age_).size(), 3U);
  ASSERT_EQ(journal_.count("reclaim.rung_failed"), 1U);
  EXPECT_NE(journal_.last("reclaim.rung_failed").reason.find("list builder s3's build cache: frozen"),
            std::string::npos);
  own_.fail_list = Error(Errc::kTimeout, "busy");
  EXPECT_FALSE(run_on(loop_, by_age_.list(turn_)));
}

TEST_F(BuildCacheEvictorTest, ABuilderThatIsNotThereHasNothing) {
  builder_.fail_list = Error(Errc::kNotFound, "there is no buildwarden_s3");
  EXPECT_EQ(plan(by_age_).size(), 3U);
  EXPECT_EQ(journal_.count("reclaim.rung_failed"), 0U);
  turn_.engine_cache = false;
  EXPECT_TRUE(list(by_age_).empty());
}

// A base under a leaf that was used just now: nothing of it is promised.
TEST_F(BuildCacheEvictorTest, ARecordIsPlannedAfterItsDescendants) {
  builder_.records.back().parents = {"hours17"};
  EXPECT_EQ(plan(by_age_), (Steps{"engine 20h", "engine 14h", "builder:s3 11h", "engine 8h", "builder:s3 5h"}));
  builder_.records.back().last_used = clock_.now().wall - hours{6};
  EXPECT_EQ(plan(by_age_),
            (Steps{"engine 20h", "engine 14h", "builder:s3 11h", "engine 8h", "builder:s3 6h", "builder:s3 5h"}));
  const auto steps = list(by_age_);
  ASSERT_EQ(steps.at(4).size, 2 * kGiB);
  ASSERT_TRUE(run_on(loop_, by_age_.evict(steps[4], turn_)));
  EXPECT_EQ(builder_.prunes, (std::vector<FakeCache::Prune>{{{"hours1", "hours17"}, hours{4}}}));
}

// BuildKit passes them over in silence: that is no failure, and nothing was promised of them.
TEST_F(BuildCacheEvictorTest, WhatIsPassedOverIsToldAndNoAlarm) {
  builder_.records.back() = record(17);
  builder_.records.back().id = "leaf";
  builder_.records.back().parents = {"hours17"};
  const auto steps = list(by_age_);
  const auto both = std::find_if(steps.begin(), steps.end(), [](const auto& one) { return one.size == 2 * kGiB; });
  ASSERT_NE(both, steps.end());
  builder_.held = {"hours17"};
  auto taken = run_on(loop_, by_age_.evict(*both, turn_));
  ASSERT_TRUE(taken) << taken.error().message();
  EXPECT_EQ(taken->dropped, "");
  EXPECT_EQ(taken->reported, kGiB);
  EXPECT_EQ(taken->spared, kGiB);
  EXPECT_EQ(taken->spared_name, "1 of the 2 records of builder s3's build cache");
  EXPECT_EQ(taken->spared_why, "in use again, used since the plan, or something was built on them");
  builder_.held = {"hours17", "leaf"};
  taken = run_on(loop_, by_age_.evict(*both, turn_));
  ASSERT_TRUE(taken) << taken.error().message();
  EXPECT_NE(taken->dropped, "");
}

TEST_F(BuildCacheEvictorTest, WhatAnEarlierTurnPretendedToDeleteIsTakenForGone) {
  turn_.found = std::make_shared<policy::DryRunCache>();
  turn_.dry_run = true;
  policy::DryRunState gone;
  for (const auto& step : list(by_age_)) gone.order.push_back(step.id);
  gone.order.emplace_back("sha256:some image");
  turn_.pretended = std::make_shared<const policy::DryRunState>(gone);
  EXPECT_TRUE(list(by_age_).empty());
  turn_.rung = RungId::kBuildCacheShare;
  turn_.age = minutes{10};
  EXPECT_TRUE(list(by_share_).empty());
  gone.order.resize(1);  // the engine's oldest
  turn_.pretended = std::make_shared<const policy::DryRunState>(gone);
  EXPECT_EQ(plan(by_share_), (Steps{"builder:s3 17h", "builder:s3 11h", "builder:s3 5h"}));
}

TEST_F(BuildCacheEvictorTest, OfADryRunEachCacheIsListedOnce) {
  turn_.found = std::make_shared<policy::DryRunCache>();
  builder_.fail_list = Error(Errc::kTimeout, "frozen");
  EXPECT_EQ(plan(by_age_).size(), 3U);
  builder_.fail_list.reset();
  const auto whole = plan(by_age_);
  EXPECT_EQ(whole.size(), 6U) << "what failed is asked again";
  own_.fail_list = builder_.fail_list = Error(Errc::kTimeout, "asked again");
  EXPECT_EQ(plan(by_age_), whole);
  turn_ = {RungId::kBuildCacheShare, 1, minutes{10}, true, false, {}, {}, true, turn_.found};
  EXPECT_FALSE(plan(by_share_).empty());
  turn_.found.reset();
  EXPECT_FALSE(run_on(loop_, by_share_.list(turn_))) << "a climb in earnest asks each time";
}

TEST_F(BuildCacheEvictorTest, AnotherEngineContainerOrPruneDropsTheStep) {
  const auto steps = list(by_age_);
  engine_.engine.identity.root_dir = "/mnt";
  EXPECT_EQ(run_on(loop_, by_age_.evict(steps.at(0), turn_))->dropped.rfind("another engine answers now", 0), 0U);
  engine_.engine.identity.root_dir = "/var/lib/docker";
  own_.fail_prune = Error(Errc::kConflict, "busy");
  EXPECT_EQ(run_on(loop_, by_age_.evict(steps.at(0), turn_))->dropped, "it cannot be pruned now: busy");
  own_.fail_prune = Error(Errc::kTimeout, "slow");
  EXPECT_FALSE(run_on(loop_, by_age_.evict(steps.at(0), turn_)));
  EXPECT_TRUE(own_.prunes.empty());
}

TEST_F(BuildCacheEvictorTest, ADryRunChangesNothingOfThePlan) {
  auto dry_run = turn_;
  dry_run.dry_run = true;
  const auto found = *run_on(loop_, by_age_.list(dry_run));
  EXPECT_EQ(run_on(loop_, by_age_.evict(found.at(0), turn_))->dropped, "it is not of the last plan");
  const auto steps = list(by_age_);
  engine_.engine.identity.root_dir = "/mnt";
  EXPECT_TRUE(run_on(loop_, by_age_.list(dry_run)));
  EXPECT_EQ(run_on(loop_, by_age_.evict(steps.at(0), turn_))->dropped.rfind("another engine", 0), 0U);
}

TEST_F(BuildCacheEvictorTest, OnlyStepsOfTheLastPlanAreTaken) {
  const auto steps = list(by_age_);
  policy::Candidate foreign;
  foreign.id = "engine 1 from hours2";
  EXPECT_EQ(run_on(loop_, by_age_.evict(foreign, turn_))->dropped, "it is not of the last plan");
  by_age_.forget_list();
  EXPECT_EQ(run_on(loop_, by_age_.evict(steps.at(0), turn_))->dropped, "it is not of the last plan");
  EXPECT_TRUE(own_.prunes.empty());
  EXPECT_TRUE(builder_.prunes.empty());
}

// A reload between a plan and its step.
TEST_F(BuildCacheEvictorTest, ACacheWhoseBuilderIsConfiguredNoMoreIsLeftAlone) {
  BuildCacheEvictor rung(policy::RungId::kBuildCache, parts());
  const auto candidates = list(rung);
  const auto of_builder = std::find_if(candidates.begin(), candidates.end(),
                                       [](const policy::Candidate& one) { return one.id.starts_with("builder:s3"); });
  ASSERT_NE(of_builder, candidates.end());
  sources_.pop_back();
  const auto taken = run_on(loop_, rung.evict(*of_builder, turn_));
  ASSERT_TRUE(taken) << taken.error().message();
  EXPECT_EQ(taken->dropped, "its builder is not configured any more");
  EXPECT_EQ(builder_.records.size(), 4U);
  for (const auto& candidate : list(rung)) EXPECT_FALSE(candidate.id.starts_with("builder:s3")) << candidate.id;
}

TEST_F(BuildCacheEvictorTest, ACacheThatAReloadAddsTakesPart) {
  const auto added = sources_.back();
  sources_.pop_back();
  BuildCacheEvictor rung(policy::RungId::kBuildCache, parts());
  const auto before = list(rung).size();
  sources_.push_back(added);
  EXPECT_GT(list(rung).size(), before);
}

}  // namespace
}  // namespace buildwarden::disk
