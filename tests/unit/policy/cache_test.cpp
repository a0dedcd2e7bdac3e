#include <gtest/gtest.h>

#include <chrono>

#include "daemon/policy/candidate.h"
#include "tests/unit/policy/eviction_cases.h"

namespace buildwarden::policy {
namespace {

using cases::kAtEviction;
using cases::rules_of;
using std::chrono::hours;
using std::chrono::minutes;

CacheRecord record(std::string id, Bytes size, Duration unused) {
  CacheRecord result;
  result.id = std::move(id);
  result.size = size;
  result.last_used = kAtEviction.wall - unused;
  return result;
}

// cache_steps() over records that come in any order.
std::vector<CacheStep> steps_over(std::vector<CacheRecord> records, const CacheBounds& bounds,
                                  const EvictionRules& rules) {
  const CacheList list(std::move(records));
  return cache_steps(list.order(), bounds, rules, kAtEviction);
}

CacheBounds chunks_of(Bytes chunk) {
  CacheBounds bounds;
  bounds.chunk = chunk;
  return bounds;
}

TEST(CacheSteps, KeepWhatIsLeftAfterEachChunk) {
  const auto steps = steps_over({record("young", 50, hours{1}), record("c", 30, hours{5}), record("a", 30, hours{9}),
                                 record("b", 30, hours{8}), record("d", 10, hours{4})},
                                chunks_of(60), rules_of(hours{4}));
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].keep, 90);
  EXPECT_EQ(steps[0].frees, 60);
  EXPECT_EQ(steps[0].records, 2U);
  EXPECT_EQ(steps[0].newest, kAtEviction.wall - hours{8});
  EXPECT_EQ(steps[1].keep, 50);
  EXPECT_EQ(steps[1].frees, 40);
  EXPECT_EQ(steps[1].records, 2U);
  EXPECT_EQ(steps[1].newest, kAtEviction.wall - hours{4});
  for (const auto& step : steps) EXPECT_EQ(step.unused_for, Duration{hours{4}});
}

TEST(CacheSteps, LeaveWhatIsInUseSharedYoungOrFromTheFuture) {
  auto used = record("used", 10, hours{9});
  used.in_use = true;
  auto shared = record("shared", 1000, hours{9});
  shared.shared = true;
  const auto steps = steps_over({used, shared, record("young", 10, hours{4} - Duration{1}), record("old", 10, hours{4}),
                                 record("future", 10, -hours{9})},
                                chunks_of(1), rules_of(hours{4}));
  ASSERT_EQ(steps.size(), 1U);
  EXPECT_EQ(steps[0].records, 1U);
  // The shared record is no part of what the prune counts.
  EXPECT_EQ(steps[0].keep, 30);
}

TEST(CacheSteps, SpareWhatWasUsedSinceTheOldestJobStarted) {
  auto rules = rules_of(hours{4});
  rules.oldest_job_start = kAtEviction.wall - hours{6};
  const auto steps = steps_over(
      {record("before", 10, hours{6} + Duration{1}), record("at", 10, hours{6}), record("since", 10, hours{5})},
      chunks_of(1), rules);
  ASSERT_EQ(steps.size(), 1U);
  EXPECT_EQ(steps[0].keep, 20);
  EXPECT_EQ(steps[0].unused_for, hours{6} + Duration{1});
  rules.oldest_job_start = kAtEviction.wall + hours{1};
  EXPECT_TRUE(steps_over({record("x", 10, hours{99})}, chunks_of(1), rules).empty());
}

TEST(CacheSteps, TheGraceHoldsWhateverTheAge) {
  const auto steps =
      steps_over({record("a", 10, minutes{9}), record("b", 10, minutes{10})}, chunks_of(1), rules_of({}));
  ASSERT_EQ(steps.size(), 1U);
  EXPECT_EQ(steps[0].keep, 10);
  EXPECT_EQ(steps[0].unused_for, Duration{minutes{10}});
}

TEST(CacheSteps, GoNoFurtherThanTheShare) {
  const std::vector<CacheRecord> records = {record("a", 30, hours{9}), record("b", 30, hours{8}),
                                            record("c", 30, hours{7}), record("young", 50, hours{1})};
  auto bounds = chunks_of(40);
  bounds.floor = 81;
  auto steps = steps_over(records, bounds, rules_of(minutes{10}));
  ASSERT_EQ(steps.size(), 1U);
  EXPECT_EQ(steps[0].keep, 80);
  EXPECT_EQ(steps[0].records, 2U);
  bounds.floor = 80;  // exactly that much is left after two
  EXPECT_EQ(steps_over(records, bounds, rules_of(minutes{10})).size(), 1U);
  bounds.floor = 140;
  EXPECT_TRUE(steps_over(records, bounds, rules_of(minutes{10})).empty());
  bounds.floor = 1;  // the share is wished for, the grace and a job's use hold all the same
  auto rules = rules_of(minutes{10});
  rules.oldest_job_start = kAtEviction.wall - hours{8};
  steps = steps_over(records, bounds, rules);
  ASSERT_EQ(steps.size(), 1U);
  EXPECT_EQ(steps[0].keep, 110);
}

TEST(AfterStep, TheLeastRecentlyUsedThatMayGoAreGone) {
  auto used = record("used", 10, hours{9});
  used.in_use = true;
  auto shared = record("shared", 10, hours{9});
  shared.shared = true;
  const CacheList list(
      {used, shared, record("b", 10, hours{7}), record("a", 10, hours{8}), record("young", 10, hours{1})});
  const auto ids = [&](Bytes keep) {
    std::string all;
    for (const auto* left : after_step(list.order(), keep, hours{4}, kAtEviction)) all += left->id + " ";
    return all;
  };
  EXPECT_EQ(ids(40), "shared used a b young ");
  EXPECT_EQ(ids(39), "shared used b young ");
  EXPECT_EQ(ids(0), "shared used young ");
}

TEST(CacheSteps, NothingToFreeIsNoStep) {
  EXPECT_TRUE(steps_over({}, chunks_of(10), rules_of(hours{4})).empty());
  EXPECT_TRUE(steps_over({record("empty", 0, hours{9})}, chunks_of(10), rules_of(hours{4})).empty());
}

TEST(CacheSteps, AChunkOfNothingIsARecordAStep) {
  const auto steps = steps_over({record("a", 1, hours{9}), record("b", 1, hours{8})}, chunks_of(0), rules_of(hours{4}));
  EXPECT_EQ(steps.size(), 2U);
}

}  // namespace
}  // namespace buildwarden::policy
