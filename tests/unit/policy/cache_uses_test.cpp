#include "daemon/policy/cache_uses.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>

#include "daemon/policy/slots.h"
#include "daemon/policy/worth_inputs.h"
#include "tests/unit/policy/cache_record.h"

namespace buildwarden::policy {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

CacheRecord use_record(std::string id, std::string description, std::vector<std::string> parents = {}) {
  auto result = cache_record(std::move(id), std::move(description), std::move(parents));
  result.uses = 1;
  result.type = "regular";
  return result;
}

// base ← step ← two leaves; the steps are known to take 5, 7 and 11 seconds, the base's pull is estimated.
class CacheUsesTest : public ::testing::Test {
 protected:
  CacheUsesTest() {
    for (const auto& [place, seconds] : {std::pair<std::size_t, double>{1, 5}, {2, 7}, {3, 11}}) {
      slots_[slots_of(records_, "s3")[place]].seconds = seconds;
    }
  }
  CacheAccount look() {
    const CacheList list(records_);
    auto account = account_for(list, cache_things(list, {"s3", &slots_, &rates_, false}), before_);
    before_.sight = account.sight;
    return account;
  }
  Amount saved() {
    Amount sum;
    for (const auto& [at, amount] : look().saved) sum += amount;
    return sum;
  }
  std::unordered_map<std::string, LostRecord> lost() {
    const CacheList list(records_);
    return losses_of(records_, cache_things(list, {"s3", &slots_, &rates_, false}));
  }
  void use(std::size_t record, std::uint64_t times = 1) {
    records_[record].uses += times;
    records_[record].last_used = kRecordTime;
  }

  std::vector<CacheRecord> records_ = {
      use_record("base", "pulled from docker.io/library/node:18@sha256:aa"),
      use_record("step", "mount / from exec /bin/sh -c apt-get install x", {"base"}),
      use_record("one", "mount / from exec /bin/sh -c make one", {"step"}),
      use_record("two", "[4/4] COPY . .", {"step"}),
  };
  Slots slots_;
  PullRates rates_;
  CacheBefore before_;
};

// The next version of its line says nothing of one that another had taken the place of.
TEST_F(CacheUsesTest, WhatHasANewerVersionIsNoLoss) {
  EXPECT_EQ(lost().count("two"), 1U);
  auto newer = use_record("newer", "[4/4] COPY . .", {"step"});
  newer.created = newer.last_used = kRecordTime;
  records_.push_back(newer);
  ASSERT_EQ(slots_of(records_, "s3")[3], slots_of(records_, "s3")[4]);
  EXPECT_EQ(lost().count("two"), 0U);
  EXPECT_EQ(lost().count("newer"), 1U);
  EXPECT_EQ(lost().count("step"), 1U);
}

TEST_F(CacheUsesTest, AFirstLookCountsNothing) {
  records_[2].uses = 50;
  EXPECT_EQ(saved(), Amount{});
  EXPECT_EQ(saved(), Amount{}) << "nothing was used since";
}

TEST_F(CacheUsesTest, AUseOfALeafSavesAllThatItIsBuiltOn) {
  look();
  use(2, 2);
  const auto amount = saved();
  EXPECT_DOUBLE_EQ(amount.seconds - amount.estimated_seconds, 2 * (5 + 7));
  EXPECT_DOUBLE_EQ(amount.estimated_seconds, 2 * kMiB / PullRates::kUnknown) << "nobody saw the pull";
  EXPECT_EQ(amount.bytes, 2 * kMiB) << "of the base alone";
}

TEST_F(CacheUsesTest, WhatTwoLeavesAreBuiltOnIsSavedAsOftenAsTheMostUsedOne) {
  look();
  use(2, 1);
  use(3, 3);
  const auto amount = saved();
  EXPECT_DOUBLE_EQ(amount.seconds - amount.estimated_seconds, 7 + 3 * 11 + 3 * 5);
}

TEST_F(CacheUsesTest, WhatABuildWasAtAndWhatWasNotSeenBeforeCountsFromThisLookOn) {
  records_[2].in_use = true;
  look();
  records_[2].in_use = false;
  use(2);
  records_.push_back(use_record("new", "mount / from exec /bin/sh -c new", {"step"}));
  EXPECT_EQ(saved(), Amount{});
  use(2);
  EXPECT_GT(saved().seconds, 12);
}

TEST_F(CacheUsesTest, WhatIsSentAnywaySavesNothing) {
  records_ = {use_record("context", "local source for context")};
  records_[0].type = "source.local";
  look();
  use(0);
  EXPECT_EQ(saved(), Amount{});
}

TEST_F(CacheUsesTest, WhatIsMadeInADeletedSlotIsRemade) {
  const auto slot = slots_of(records_, "s3")[2];
  before_.deleted = {{slot, kRecordTime - hours{2}}};
  EXPECT_EQ(look().remade, (std::vector<std::pair<SlotId, WallTime>>{{slot, kRecordTime - hours{1}}}));
  before_.deleted = {{slot, kRecordTime - minutes{30}}};
  EXPECT_TRUE(look().remade.empty()) << "it was there before";
}

// What a job sends may be another version: it would have been made anyway.
TEST_F(CacheUsesTest, OnlyWhatTheDescriptionsNameExactlyIsLostForCertain) {
  const auto slots = slots_of(records_, "s3");
  auto& copy = slots_[slots[3]].history;
  copy.use.uses = 9;
  copy.unchanged = 4;
  auto losses = lost();
  EXPECT_EQ(losses.at("one").slot, slots[2]);
  EXPECT_EQ(losses.at("one").amount, (Amount{7, 0, 0, 1}));
  EXPECT_EQ(losses.at("base").amount.bytes, kMiB);
  EXPECT_DOUBLE_EQ(losses.at("two").amount.seconds, 11 * 0.45);
  EXPECT_DOUBLE_EQ(losses.at("two").amount.estimated_seconds, 11 * 0.45);
  records_[0].description = "pulled from docker.io/library/node:18";
  slots_[slots_of(records_, "s3")[2]].seconds = 7;
  losses = lost();
  EXPECT_GT(losses.at("one").amount.estimated_seconds, 0) << "on a base without a digest";
}

}  // namespace
}  // namespace buildwarden::policy
