#include "daemon/policy/idle_cache.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "tests/unit/policy/moments.h"

namespace buildwarden::policy {
namespace {

using cases::after;
using cases::kNow;
using std::chrono::hours;
using std::chrono::minutes;

IdleCacheFacts fat() {
  IdleCacheFacts facts;
  facts.builder = "s3";
  facts.warm = true;
  facts.running_builds = 0;
  facts.cache = 40 * kGiB;
  facts.share = 30 * kGiB;
  return facts;
}

// After it was idle for an hour.
std::string rule_of(const IdleCacheFacts& facts) {
  IdleCacheMemory memory;
  memory.idle_since = kNow.boot;
  const auto plan = decide_idle_cache(facts, memory, after(hours{1}));
  EXPECT_EQ(plan.collect, plan.rule == "over_share");
  return plan.rule;
}

TEST(IdleCache, OneThatWasIdleForFiveMinutesIsCollected) {
  auto plan = decide_idle_cache(fat(), {}, kNow);
  EXPECT_EQ(plan.rule, "idle_too_short");
  plan = decide_idle_cache(fat(), plan.memory, after(minutes{5} - Duration{1}));
  EXPECT_EQ(plan.rule, "idle_too_short");
  plan = decide_idle_cache(fat(), plan.memory, after(minutes{5}));
  EXPECT_TRUE(plan.collect);
  EXPECT_EQ(plan.reason, "idle for 5m, and its cache has 40.00 GiB of 30.00 GiB");
}

TEST(IdleCache, AnyUseBeginsItsIdlenessAnew) {
  auto used = fat();
  for (const auto& use : std::vector<std::function<void(IdleCacheFacts&)>>{
           [](auto& facts) { facts.leases = 1; }, [](auto& facts) { facts.running_builds = 2; },
           [](auto& facts) { facts.running_builds.reset(); }, [](auto& facts) { facts.warm = false; }}) {
    used = fat();
    use(used);
    IdleCacheMemory memory;
    memory.idle_since = kNow.boot;
    auto plan = decide_idle_cache(used, memory, after(hours{1}));
    EXPECT_EQ(plan.rule, "used") << plan.reason;
    EXPECT_FALSE(plan.collect);
    plan = decide_idle_cache(fat(), plan.memory, after(hours{1} + minutes{1}));
    EXPECT_EQ(plan.rule, "idle_too_short");
  }
}

TEST(IdleCache, OnlyWhatIsWorthTheTroubleAndKnown) {
  auto facts = fat();
  facts.cache = facts.share;
  EXPECT_EQ(rule_of(facts), "within_share");
  facts.cache = *facts.share + *facts.share / 20;
  EXPECT_EQ(rule_of(facts), "within_share");
  facts.cache = *facts.cache + 1;
  EXPECT_EQ(rule_of(facts), "over_share");
  facts.share = 100 * kMiB;
  facts.cache = 164 * kMiB;
  EXPECT_EQ(rule_of(facts), "within_share");
  facts.cache = 164 * kMiB + 1;
  EXPECT_EQ(rule_of(facts), "over_share");
  facts.share.reset();
  EXPECT_EQ(rule_of(facts), "unknown");
  facts = fat();
  facts.cache.reset();
  EXPECT_EQ(rule_of(facts), "unknown");
}

TEST(IdleCache, NotAgainWithinTenMinutes) {
  IdleCacheMemory memory;
  memory.idle_since = kNow.boot;
  auto plan = decide_idle_cache(fat(), memory, after(hours{1}));
  ASSERT_TRUE(plan.collect);
  plan = decide_idle_cache(fat(), plan.memory, after(hours{1} + minutes{10} - Duration{1}));
  EXPECT_EQ(plan.rule, "collected_before");
  EXPECT_TRUE(decide_idle_cache(fat(), plan.memory, after(hours{1} + minutes{10})).collect);
}

}  // namespace
}  // namespace buildwarden::policy
