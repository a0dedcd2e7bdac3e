#include <gtest/gtest.h>

#include <chrono>

#include "daemon/policy/eviction_order.h"
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

CacheRecord child(std::string id, Bytes size, Duration unused, std::vector<std::string> parents) {
  auto result = record(std::move(id), size, unused);
  result.parents = std::move(parents);
  return result;
}

// The ids of each step: "a b | c".
std::string ids_of(const std::vector<CacheStep>& steps) {
  std::string all;
  for (const auto& step : steps) {
    if (!all.empty()) all += " |";
    for (const auto& id : step.ids) all += (all.empty() ? "" : " ") + id;
  }
  return all;
}

TEST(CacheSteps, TakeTheLeastRecentlyUsedInChunks) {
  const auto steps = steps_over({record("young", 50, hours{1}), record("c", 30, hours{5}), record("a", 30, hours{9}),
                                 record("b", 30, hours{8}), record("d", 10, hours{4})},
                                chunks_of(60), rules_of(hours{4}));
  EXPECT_EQ(ids_of(steps), "a b | c d");
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].frees, 60);
  EXPECT_EQ(steps[0].newest, kAtEviction.wall - hours{8});
  EXPECT_EQ(steps[1].frees, 40);
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
  EXPECT_EQ(ids_of(steps), "old");
}

// Issue 15: of a cached build only the leaf is touched, and BuildKit deletes nothing that has children.
TEST(CacheSteps, ABaseWasUsedWhenItsLeafWas) {
  const std::vector<CacheRecord> records = {record("base", 600, hours{99}), child("inner", 2, hours{98}, {"base"}),
                                            child("leaf", 1, hours{1}, {"inner"}), record("other", 5, hours{5})};
  EXPECT_EQ(ids_of(steps_over(records, chunks_of(1), rules_of(hours{4}))), "other");
  EXPECT_EQ(ids_of(steps_over(records, chunks_of(1), rules_of(hours{1}))), "other | leaf inner base");
}

TEST(CacheSteps, WhatGoesTogetherIsOneStepChildrenFirst) {
  const auto steps = steps_over({record("base", 600, hours{99}), child("b", 3, hours{9}, {"base"}),
                                 child("a", 2, hours{7}, {"base"}), child("a2", 1, hours{6}, {"a"})},
                                chunks_of(1), rules_of(hours{4}));
  EXPECT_EQ(ids_of(steps), "b | a2 a base") << "the base goes with the last of its descendants";
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[1].frees, 603);
  EXPECT_EQ(steps[1].newest, kAtEviction.wall - hours{6});
}

TEST(CacheSteps, WhatADescendantHoldsStays) {
  auto used = child("leaf", 1, hours{9}, {"inner"});
  used.in_use = true;
  const std::vector<CacheRecord> records = {record("base", 600, hours{99}), child("inner", 2, hours{98}, {"base"}),
                                            child("idle", 3, hours{97}, {"base", "gone"}), used};
  EXPECT_EQ(ids_of(steps_over(records, chunks_of(1), rules_of(hours{4}))), "idle");
}

TEST(CacheSteps, TwoParentsGoAfterTheOneThatWasMergedFromThem) {
  const auto steps = steps_over({record("x", 1, hours{5}), record("y", 1, hours{9}),
                                 child("merged", 1, hours{8}, {"x", "y"}), child("twin", 1, hours{8}, {"y"})},
                                chunks_of(1), rules_of(hours{4}));
  EXPECT_EQ(ids_of(steps), "merged | twin y | x");
}

// Nobody writes such a list; a plan over it must end, and promise nothing of it.
TEST(CacheSteps, ARingStays) {
  const auto steps = steps_over({child("a", 1, hours{9}, {"b"}), child("b", 1, hours{9}, {"a"}),
                                 child("self", 1, hours{9}, {"self"}), child("leaf", 1, hours{9}, {"a"})},
                                chunks_of(1), rules_of(hours{4}));
  EXPECT_EQ(ids_of(steps), "leaf");
}

TEST(CacheSteps, SpareWhatWasUsedSinceTheOldestJobStarted) {
  auto rules = rules_of(hours{4});
  rules.oldest_job_start = kAtEviction.wall - hours{6};
  const auto steps = steps_over(
      {record("before", 10, hours{6} + Duration{1}), record("at", 10, hours{6}), record("since", 10, hours{5})},
      chunks_of(1), rules);
  ASSERT_EQ(ids_of(steps), "before");
  EXPECT_EQ(steps[0].unused_for, hours{6} + Duration{1});
  rules.oldest_job_start = kAtEviction.wall + hours{1};
  EXPECT_TRUE(steps_over({record("x", 10, hours{99})}, chunks_of(1), rules).empty());
}

TEST(CacheSteps, TheGraceHoldsWhateverTheAge) {
  const auto steps =
      steps_over({record("a", 10, minutes{9}), record("b", 10, minutes{10})}, chunks_of(1), rules_of({}));
  ASSERT_EQ(ids_of(steps), "b");
  EXPECT_EQ(steps[0].unused_for, Duration{minutes{10}});
}

TEST(CacheSteps, GoNoFurtherThanTheShare) {
  const std::vector<CacheRecord> records = {record("a", 30, hours{9}), record("b", 30, hours{8}),
                                            record("c", 30, hours{7}), record("young", 50, hours{1})};
  auto bounds = chunks_of(40);
  bounds.floor = 81;
  EXPECT_EQ(ids_of(steps_over(records, bounds, rules_of(minutes{10}))), "a b");
  bounds.floor = 80;  // exactly that much is left after two
  EXPECT_EQ(steps_over(records, bounds, rules_of(minutes{10})).size(), 1U);
  bounds.floor = 140;
  EXPECT_TRUE(steps_over(records, bounds, rules_of(minutes{10})).empty());
  bounds.floor = 1;  // the share is wished for, the grace and a job's use hold all the same
  auto rules = rules_of(minutes{10});
  rules.oldest_job_start = kAtEviction.wall - hours{8};
  EXPECT_EQ(ids_of(steps_over(records, bounds, rules)), "a");
}

// Within a chain, too: its leaf is the cheapest to have again.
TEST(CacheSteps, OfAChainNoMoreGoesThanTheShareAsksFor) {
  auto bounds = chunks_of(1);
  bounds.floor = 70;
  const auto steps =
      steps_over({record("base", 60, hours{9}), child("leaf", 30, hours{9}, {"base"})}, bounds, rules_of(minutes{10}));
  EXPECT_EQ(ids_of(steps), "leaf");
}

TEST(Without, WhatIsLeftIsPutInOrderAnew) {
  const CacheList list({record("base", 60, hours{9}), child("leaf", 30, hours{5}, {"base"}), record("x", 1, hours{7})});
  const auto order = [](const CacheOrder& records) {
    std::string all;
    for (const auto& left : records) all += left.record->id + " ";
    return all;
  };
  EXPECT_EQ(order(list.order()), "x leaf base ");
  EXPECT_EQ(order(without(list.order(), {"leaf"})), "base x ");
  EXPECT_EQ(order(without(list.order(), {"leaf", "x", "unknown"})), "base ");
}

TEST(CacheIds, AreSuchThatAFilterReadsThemAsTheyAre) {
  EXPECT_TRUE(is_cache_id("vvaxljzt1zuvhi2mr4ldgp5bq"));
  EXPECT_EQ(*cache_id_batches({"a", "b", "c"}, 2), (std::vector<std::vector<std::string>>{{"a", "b"}, {"c"}}));
  EXPECT_TRUE(cache_id_batches({}, 2)->empty());
  EXPECT_EQ(cache_id_batches({"a", "b|c"}, 2).error().code(), Errc::kInvalid);
  for (const auto* id : {"", "a|b", ".*", "a b", "a,b", "a\"", "a\n"}) EXPECT_FALSE(is_cache_id(id)) << id;
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
