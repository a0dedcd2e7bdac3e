#include "daemon/policy/slots.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "tests/unit/policy/cache_record.h"

namespace buildwarden::policy {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(Slots, AreChainsOfDescriptionsAndNotIds) {
  const std::vector<CacheRecord> day = {
      cache_record("leaf", "mount / from exec /bin/sh -c make", {"copy"}),
      cache_record("copy", "[2/3] COPY . .", {"base"}), cache_record("base", "pulled from docker.io/library/alpine"),
      cache_record("other", "mount / from exec /bin/sh -c make", {"base"}), cache_record("x", "")};
  const std::vector<CacheRecord> next = {cache_record("b", "pulled from docker.io/library/alpine"),
                                         cache_record("c", "[2/4] COPY . .", {"b"}),
                                         cache_record("l", "mount / from exec /bin/sh -c make", {"c"})};
  const auto one = slots_of(day, "s3");
  const auto two = slots_of(next, "s3");
  EXPECT_EQ(one[0], two[2]);
  EXPECT_EQ(one[1], two[1]) << "a step more in the Dockerfile changes nothing of those before";
  EXPECT_EQ(one[2], two[0]);
  EXPECT_NE(one[0], one[3]) << "the same line on another base";
  EXPECT_EQ(one[4], 0U) << "nobody tells";
  EXPECT_NE(slots_of(day, "other")[0], one[0]);
}

TEST(Slots, RecordsInARingHaveSomeSlot) {
  const std::vector<CacheRecord> ring = {cache_record("a", "A", {"b"}), cache_record("b", "B", {"a"}),
                                         cache_record("c", "C", {"a"})};
  const auto slots = slots_of(ring, "s3");
  EXPECT_EQ(std::count(slots.begin(), slots.end(), 0U), 0);
}

TEST(Slots, LearnWhatAStepTook) {
  auto made = cache_record("a", "mount / from exec /bin/sh -c sleep 8");
  const BuildStep step{"[2/2] RUN sleep 8", made.created - seconds{8}, made.created};
  const auto learned = learn_slots({}, {made}, "s3", {step}, kRecordTime);
  const auto slot = slots_of({made}, "s3")[0];
  ASSERT_TRUE(learned.slots.contains(slot));
  EXPECT_DOUBLE_EQ(learned.slots.at(slot).seconds.value_or(0), 8);
  EXPECT_EQ(learned.changed, std::vector<SlotId>{slot});
  EXPECT_EQ(learned.slots.at(slot).history.use.uses, 1U);
  EXPECT_EQ(learned.slots.at(slot).history.unchanged, 0U);
}

// Of several measurements the latest counts half.
TEST(Slots, WhatAStepTookMoreThanOnceIsAMean) {
  auto made = cache_record("a", "mount / from exec /bin/sh -c make");
  const BuildStep first{"[2/2] RUN make", made.created - seconds{8}, made.created};
  auto learned = learn_slots({}, {made}, "s3", {first}, kRecordTime);
  auto again = cache_record("b", made.description);
  again.created = kRecordTime - minutes{1};
  again.last_used = again.created;
  const BuildStep second{"[2/2] RUN make", again.created - seconds{4}, again.created};
  learned = learn_slots(std::move(learned.slots), {again}, "s3", {second}, kRecordTime);
  EXPECT_DOUBLE_EQ(learned.slots.begin()->second.seconds.value_or(0), 6);
}

TEST(Slots, CountEachUseOnceOverSeveralLooks) {
  auto made = cache_record("a", "[2/2] COPY . .");
  auto learned = learn_slots({}, {made}, "s3", {}, kRecordTime);
  learned = learn_slots(std::move(learned.slots), {made}, "s3", {}, kRecordTime);
  EXPECT_TRUE(learned.changed.empty());
  made.last_used = kRecordTime - minutes{30};
  learned = learn_slots(std::move(learned.slots), {made}, "s3", {}, kRecordTime);
  auto newer = cache_record("b", "[2/2] COPY . .");
  newer.created = kRecordTime - minutes{10};
  newer.last_used = newer.created;
  learned = learn_slots(std::move(learned.slots), {made, newer}, "s3", {}, kRecordTime);
  const auto& history = learned.slots.begin()->second.history;
  EXPECT_EQ(history.use.uses, 3U) << "made, found, made anew";
  EXPECT_EQ(history.unchanged, 1U);
  EXPECT_EQ(history.use.last_use, kRecordTime - minutes{10});
}

// Ledger growth is bounded: what is gone for a day is forgotten, and of too many the oldest.
TEST(Slots, ForgetWhatIsGone) {
  const auto made = cache_record("a", "[2/2] COPY . .");
  auto learned = learn_slots({}, {made}, "s3", {}, kRecordTime);
  learned = learn_slots(std::move(learned.slots), {}, "s3", {}, kRecordTime + hours{22});
  EXPECT_EQ(learned.slots.size(), 1U) << "it may come back";
  EXPECT_TRUE(learned.forgotten.empty());
  learned = learn_slots(std::move(learned.slots), {}, "s3", {}, kRecordTime + hours{24});
  EXPECT_TRUE(learned.slots.empty());
  EXPECT_EQ(learned.forgotten.size(), 1U);
}

TEST(Slots, AreBounded) {
  std::vector<CacheRecord> many;
  for (std::size_t i = 0; i < kMostSlots + 10; ++i) {
    many.push_back(cache_record("r" + std::to_string(i), "RUN " + std::to_string(i)));
    many.back().created -= Duration{static_cast<std::int64_t>(i)};
    many.back().last_used = many.back().created;
  }
  const auto learned = learn_slots({}, many, "s3", {}, kRecordTime);
  EXPECT_EQ(learned.slots.size(), kMostSlots);
  const auto slots = slots_of(many, "s3");
  EXPECT_TRUE(learned.slots.contains(slots[0]));
  EXPECT_FALSE(learned.slots.contains(slots.back())) << "used longest ago";
  EXPECT_TRUE(learned.forgotten.empty()) << "none of them was known";
  auto newer = cache_record("newer", "RUN newer");
  newer.created = newer.last_used = kRecordTime;
  many.push_back(newer);
  EXPECT_EQ(learn_slots(learned.slots, many, "s3", {}, kRecordTime).forgotten,
            std::vector<SlotId>{slots[kMostSlots - 1]});
}

TEST(PullRates, AreByHost) {
  PullRates rates;
  EXPECT_DOUBLE_EQ(rates.of("docker.io"), PullRates::kUnknown);
  EXPECT_FALSE(rates.note("docker.io", 100, 1, kRecordTime)) << "all questions and no bytes";
  EXPECT_FALSE(rates.note("docker.io", 100 * kMiB, 0, kRecordTime));
  ASSERT_TRUE(rates.note("docker.io", 100 * kMiB, 2, kRecordTime));
  ASSERT_TRUE(rates.note("slow:5000", 10 * kMiB, 10, kRecordTime));
  EXPECT_DOUBLE_EQ(rates.of("docker.io"), 50.0 * kMiB);
  EXPECT_DOUBLE_EQ(rates.of("slow:5000"), 1.0 * kMiB);
  EXPECT_DOUBLE_EQ(rates.of("elsewhere"), 25.5 * kMiB);
  ASSERT_TRUE(rates.note("slow:5000", 30 * kMiB, 10, kRecordTime));
  EXPECT_DOUBLE_EQ(rates.of("slow:5000"), 2.0 * kMiB);
  for (int i = 0; i < 100; ++i) rates.note("host" + std::to_string(i), kMiB, 1, kRecordTime + seconds{i});
  EXPECT_EQ(rates.all().size(), PullRates::kMostHosts);
  EXPECT_TRUE(rates.all().contains("host99"));
}

TEST(PullRates, HostsAreReadAsDockerReadsThem) {
  EXPECT_EQ(registry_host("node:18"), "docker.io");
  EXPECT_EQ(registry_host("docker.io/library/node:18"), "docker.io");
  EXPECT_EQ(registry_host("index.docker.io/library/node:18"), "docker.io");
  EXPECT_EQ(registry_host("shop/web:1"), "docker.io");
  EXPECT_EQ(registry_host("localhost/web"), "localhost");
  EXPECT_EQ(registry_host("ghcr.io/a/b@sha256:0"), "ghcr.io");
  EXPECT_EQ(registry_host("registry:5000/web"), "registry:5000");
  EXPECT_EQ(repository_of("docker.io/library/node:18"), repository_of("node"));
  EXPECT_EQ(repository_of("registry:5000/web:2"), "registry:5000/web");
  EXPECT_EQ(repository_of("registry:5000/web"), "registry:5000/web");
}

}  // namespace
}  // namespace buildwarden::policy
