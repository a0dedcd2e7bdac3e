#include "daemon/policy/prefetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/policy/moments.h"

namespace buildwarden::policy {
namespace {

using cases::after;
using cases::kNow;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

PrefetchFacts good() {
  PrefetchFacts facts;
  facts.engine_up = true;
  facts.disks = {{.mount = "/docker",
                  .level = Level::kOk,
                  .wants_reclaim = false,
                  .free = 50 * kGiB,
                  .low = 10 * kGiB,
                  .reason = "9 of 99 inodes are free"}};
  facts.builders = {{"s3", BuilderState::kWarm}};
  return facts;
}

PrefetchPlan plan(const PrefetchFacts& facts, const std::vector<PrefetchItem>& known = {}, Now now = kNow) {
  return plan_prefetch({"a:1", "b:1"}, known, facts, now);
}

// "a:1" for the engine, "a:1@s3" for a builder; what is waited for where nothing is next.
std::string next(const PrefetchPlan& plan) {
  if (!plan.next) return plan.rule;
  const auto& item = plan.items.at(*plan.next);
  return item.image + (item.builder.empty() ? "" : "@" + item.builder);
}

TEST(Prefetch, TheEngineThenTheBuildersOneAfterAnother) {
  std::vector<PrefetchItem> known;
  for (const char* expected : {"a:1", "b:1", "a:1@s3", "b:1@s3"}) {
    auto next_plan = plan(good(), known);
    EXPECT_EQ(next(next_plan), expected);
    known = next_plan.items;
    known.at(*next_plan.next) = fetched(known.at(*next_plan.next), "it is there", kNow);
  }
  EXPECT_EQ(next(plan(good(), known)), "all_done");
  EXPECT_EQ(known.at(3).done_at, kNow.wall);
}

TEST(Prefetch, NothingConfiguredIsNothingToDo) {
  const auto empty = plan_prefetch({}, plan(good()).items, good(), kNow);
  EXPECT_EQ(next(empty), "nothing");
  EXPECT_TRUE(empty.items.empty());
  EXPECT_EQ(plan_prefetch({"a:1", "a:1"}, {}, good(), kNow).items.size(), 2U) << "named twice is once a place";
}

TEST(Prefetch, NothingIsWrittenWithoutRoom) {
  const auto waits = [](const std::function<void(PrefetchDisk&)>& change) {
    auto facts = good();
    change(facts.disks.front());
    return next(plan(facts));
  };
  for (const auto level : {Level::kLow, Level::kCritical, Level::kExhausted, Level::kUnknown}) {
    EXPECT_EQ(waits([&](PrefetchDisk& disk) { disk.level = level; }), "disk") << to_string(level);
  }
  EXPECT_EQ(waits([](PrefetchDisk& disk) { disk.wants_reclaim = true; }), "disk");
  EXPECT_EQ(waits([](PrefetchDisk& disk) { disk.free.reset(); }), "disk");
  EXPECT_EQ(waits([](PrefetchDisk& disk) { disk.free = 10 * kGiB - 1; }), "disk");
  EXPECT_EQ(waits([](PrefetchDisk& disk) { disk.free = 10 * kGiB; }), "a:1");
  auto facts = good();
  facts.disks.push_back(facts.disks.front());
  facts.disks.back().level = Level::kLow;
  EXPECT_EQ(next(plan(facts)), "disk") << "one of two is enough to wait";
  EXPECT_THAT(plan(facts).reason, HasSubstr("/docker is low: 9 of 99 inodes are free"));
  facts.disks.clear();
  EXPECT_EQ(next(plan(facts)), "disk") << "not known is not fine";
}

TEST(Prefetch, AnEngineThatIsAwayIsWaitedFor) {
  auto facts = good();
  facts.engine_up = false;
  EXPECT_EQ(next(plan(facts)), "engine_down");
}

TEST(Prefetch, BuildersAreWarmFirstButNotForEver) {
  auto facts = good();
  facts.builders.push_back({"down", BuilderState::kDown});
  facts.since_start = minutes{2} - Duration{1};
  EXPECT_EQ(next(plan(facts)), "builders");
  facts.since_start = minutes{2};
  auto known = plan(facts).items;
  ASSERT_EQ(known.size(), 6U);
  for (std::size_t at = 0; at < 4; ++at) known[at] = fetched(known[at], "there", kNow);
  EXPECT_EQ(next(plan(facts, known)), "builders") << "a builder's own images wait for it";
  facts.builders.back().state = BuilderState::kWarm;
  EXPECT_EQ(next(plan(facts, known)), "a:1@down");
}

TEST(Prefetch, WhatFailedWaitsAndLetsTheOthersGoFirst) {
  auto known = plan(good()).items;
  known.at(0) = fetch_failed(known.at(0), "no such host", seconds{1}, kNow);
  EXPECT_EQ(known.at(0).state, PrefetchState::kFailed);
  EXPECT_EQ(known.at(0).reason, "no such host");
  EXPECT_EQ(next(plan(good(), known)), "b:1");
  for (std::size_t at = 1; at < known.size(); ++at) known[at] = fetched(known[at], "there", kNow);
  const auto waits = plan(good(), known, after(seconds{2}));
  EXPECT_EQ(next(waits), "backing_off");
  EXPECT_EQ(waits.again, seconds{4}) << "5 s and the jitter";
  EXPECT_EQ(next(plan(good(), known, after(seconds{6}))), "a:1");
  known.at(0) = fetch_failed(known.at(0), "no such host", Duration{0}, kNow);
  EXPECT_EQ(*known.at(0).not_before - kNow.boot, seconds{10});
  for (int more = 0; more < 100; ++more) known.at(0) = fetch_failed(known.at(0), "no", Duration{0}, kNow);
  EXPECT_EQ(*known.at(0).not_before - kNow.boot, minutes{5});
  known.at(0) = fetched(known.at(0), "there", kNow);
  EXPECT_EQ(known.at(0).failures, 0);
}

TEST(Prefetch, AReloadAddsAndTakesAway) {
  auto known = plan(good()).items;
  known.at(0) = fetched(known.at(0), "there", kNow);
  const auto more = plan_prefetch({"c:1", "a:1"}, known, good(), kNow);
  EXPECT_EQ(next(more), "c:1");
  ASSERT_EQ(more.items.size(), 4U);
  EXPECT_EQ(more.items.at(1).state, PrefetchState::kDone);
}

TEST(Prefetch, WhatWasUnderWayWhenItsTurnWasBrokenOffWaitsAgain) {
  auto known = plan(good()).items;
  known.at(0).state = PrefetchState::kFetching;
  EXPECT_EQ(plan(good(), known).items.at(0).state, PrefetchState::kWaiting);
}

TEST(Prefetch, WhatSeedsNameComesLastAndWaitsForJobs) {
  auto facts = good();
  facts.seed_images = {"seed:1", "a:1", "seed:2"};
  facts.is_used = true;
  std::vector<PrefetchItem> known;
  for (const char* expected : {"a:1", "b:1", "a:1@s3", "b:1@s3"}) {
    auto next_plan = plan(facts, known);
    ASSERT_EQ(next(next_plan), expected) << "what is configured does not wait for jobs";
    known = next_plan.items;
    known.at(*next_plan.next) = fetched(known.at(*next_plan.next), "it is there", kNow);
  }
  EXPECT_EQ(next(plan(facts, known)), "jobs");
  facts.is_used = false;
  for (const char* expected : {"seed:1", "seed:2"}) {
    auto next_plan = plan(facts, known);
    ASSERT_EQ(next(next_plan), expected) << "for the engine alone, in their order";
    known = next_plan.items;
    known.at(*next_plan.next) = fetched(known.at(*next_plan.next), "it is there", kNow);
  }
  EXPECT_EQ(next(plan(facts, known)), "all_done");
}

}  // namespace
}  // namespace buildwarden::policy
