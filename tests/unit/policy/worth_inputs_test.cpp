#include "daemon/policy/worth_inputs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace buildwarden::policy {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr WallTime kThingTime{Duration{1'790'000'000'000}};

CacheRecord thing_record(std::string id, std::string description, Bytes size, std::vector<std::string> parents = {}) {
  CacheRecord result;
  result.id = std::move(id);
  result.size = size;
  result.created = kThingTime - hours{9};
  result.last_used = kThingTime - hours{5};
  result.uses = 3;
  result.description = std::move(description);
  result.type = "regular";
  result.parents = std::move(parents);
  return result;
}

class WorthInputsTest : public ::testing::Test {
 protected:
  // The ids in the order in which they go, children first.
  std::string order_of(std::vector<CacheRecord> records) {
    for (const auto& one : records) {
      const auto known = seconds_.find(one.id);
      if (known != seconds_.end()) slots_[slots_of({one}, "s3")[0]].seconds = known->second;
    }
    CacheList list(std::move(records));
    list.rank_by_value(cache_things(list, {"s3", &slots_, &rates_, reuse_context_}), kThingTime);
    std::string all;
    for (const auto& entry : list.order()) all += (all.empty() ? "" : " ") + entry.record->id;
    return all;
  }
  std::vector<Thing> things_of(std::vector<CacheRecord> records) {
    const CacheList list(std::move(records));
    return cache_things(list, {"s3", &slots_, &rates_, reuse_context_});
  }
  static Candidate image(const std::string& id, std::vector<std::string> references, Bytes size, LayerChain layers) {
    Candidate candidate;
    candidate.id = id;
    candidate.name = references.front();
    candidate.references = std::move(references);
    candidate.size = size;
    candidate.layers = std::move(layers);
    candidate.last_use.at = kThingTime - hours{5};
    return candidate;
  }
  static ImageFacts used(std::uint64_t uses) {
    ImageFacts facts;
    facts.use = first_use(kThingTime - hours{9});
    note_use(facts.use, kThingTime - hours{5}, uses);
    return facts;
  }

  Slots slots_;
  std::map<std::string, double> seconds_;  // by the id of a record without parents
  PullRates rates_;
  bool reuse_context_ = false;
};

// The same uses and the same bytes: the one that took longer stays.
TEST_F(WorthInputsTest, WhatCostsLessGoesFirst) {
  seconds_ = {{"slow", 720.0}, {"quick", 2.0}};
  EXPECT_EQ(order_of({thing_record("slow", "RUN slow", kGiB), thing_record("quick", "RUN quick", kGiB)}), "quick slow");
  seconds_ = {{"slow", 2.0}, {"quick", 720.0}};
  EXPECT_EQ(order_of({thing_record("slow", "RUN slow", kGiB), thing_record("quick", "RUN quick", kGiB)}), "slow quick");
}

TEST_F(WorthInputsTest, WhatGivesMoreBackGoesFirst) {
  seconds_ = {{"large", 60.0}, {"small", 60.0}};
  EXPECT_EQ(
      order_of({thing_record("small", "RUN a", 40 * kMiB), thing_record("large", "RUN b", 2 * kGiB)}).substr(0, 5),
      "large");
}

TEST_F(WorthInputsTest, WhatIsSentAnywayGoesBeforeAll) {
  auto context = thing_record("context", "local source for context", kMiB);
  context.type = "source.local";
  seconds_ = {{"context", 900.0}, {"step", 1.0}};
  const auto step = thing_record("step", "RUN a", 100 * kGiB);
  EXPECT_EQ(order_of({step, context}), "context step");
  reuse_context_ = true;
  EXPECT_EQ(order_of({step, context}), "step context") << "jobs keep it on purpose";
}

// A newer version of the same slot was made since this one's last use.
TEST_F(WorthInputsTest, WhatIsSupersededIsSaid) {
  const auto before = thing_record("before", "[2/2] COPY . .", kMiB);
  auto after = thing_record("after", "[2/2] COPY . .", kMiB);
  after.created = kThingTime - hours{4};
  after.last_used = kThingTime - hours{3};
  auto things = things_of({before, after});
  EXPECT_EQ(things[0].superseded_by, "after");
  EXPECT_EQ(things[1].superseded_by, "");
  after.created = kThingTime - hours{6};
  things = things_of({before, after});
  EXPECT_EQ(things[0].superseded_by, "") << "branches that take turns: both were used since";
}

TEST_F(WorthInputsTest, AParentWasUsedWhenItsChildWas) {
  auto child = thing_record("child", "RUN b", kMiB, {"base"});
  child.last_used = kThingTime - minutes{5};
  const auto things = things_of({thing_record("base", "RUN a", kGiB), child});
  EXPECT_EQ(things[0].use.last_use, kThingTime - minutes{5});
  EXPECT_EQ(things[1].parents, std::vector<std::string>{"base"});
}

TEST_F(WorthInputsTest, WhatWasNotSeenIsEstimatedAndSaidToBe) {
  rates_.note("docker.io", 100 * kMiB, 10, kThingTime);  // 10 MiB/s
  auto pulled = thing_record("pulled", "pulled from docker.io/library/node:18", 200 * kMiB);
  auto mount = thing_record("mount", "cached mount /root/.npm from exec /bin/sh -c npm ci", 50 * kMiB);
  mount.type = "exec.cachemount";
  auto once = thing_record("once", "RUN once", kMiB);
  once.uses = 1;
  once.last_used = once.created + seconds{14};
  const auto often = thing_record("often", "RUN often", 100 * kMiB);
  const auto things = things_of({pulled, mount, once, often});
  EXPECT_DOUBLE_EQ(things[0].cost.seconds, 20);
  EXPECT_DOUBLE_EQ(things[1].cost.seconds, 5);
  EXPECT_DOUBLE_EQ(things[2].cost.seconds, 14);
  EXPECT_DOUBLE_EQ(things[3].cost.seconds, 3) << "a second, and 50 MiB in each more";
  for (const auto& thing : things) EXPECT_TRUE(thing.cost.is_estimated) << thing.id;
  seconds_ = {{"often", 8.2}};
  static_cast<void>(order_of({often}));
  const auto known = things_of({often});
  EXPECT_DOUBLE_EQ(known[0].cost.seconds, 8.2);
  EXPECT_FALSE(known[0].cost.is_estimated);
}

TEST_F(WorthInputsTest, AStepTellsWhatItCostsAndWhy) {
  seconds_ = {{"a", 5.0}, {"b", 1.0}};
  for (const auto& one : {thing_record("a", "RUN a", kGiB), thing_record("b", "RUN b", kGiB)}) {
    slots_[slots_of({one}, "s3")[0]].seconds = seconds_[one.id];
  }
  CacheList list({thing_record("a", "RUN a", kGiB), thing_record("b", "RUN b", kGiB)});
  EvictionRules rules;
  rules.age = hours{4};
  CacheBounds whole;
  whole.chunk = 100 * kGiB;
  EXPECT_FALSE(list.value_of(cache_steps(list.order(), whole, rules, {kThingTime, BootTime{}})[0]));
  list.rank_by_value(cache_things(list, {"s3", &slots_, &rates_, false}), kThingTime);
  const auto steps = cache_steps(list.order(), whole, rules, {kThingTime, BootTime{}});
  ASSERT_EQ(steps.size(), 1U);
  const auto value = list.value_of(steps[0]);
  ASSERT_TRUE(value);
  EXPECT_DOUBLE_EQ(value->seconds, 6);
  EXPECT_FALSE(value->is_estimated);
  EXPECT_EQ(value->uses, 4U);
  EXPECT_TRUE(value->why.starts_with("most of it \"RUN a\", ")) << value->why;
}

// A step ends before what is worth far more than its first record, so that a small shortage costs nothing dear.
TEST_F(WorthInputsTest, AStepHoldsWhatIsWorthAboutTheSame) {
  seconds_ = {{"cheap", 1.0}, {"dear", 600.0}};
  std::vector<CacheRecord> records = {thing_record("cheap", "RUN a", 30 * kMiB),
                                      thing_record("dear", "RUN b", 30 * kMiB)};
  for (const auto& one : records) slots_[slots_of({one}, "s3")[0]].seconds = seconds_[one.id];
  CacheList list(std::move(records));
  list.rank_by_value(cache_things(list, {"s3", &slots_, &rates_, false}), kThingTime);
  EvictionRules rules;
  rules.age = hours{4};
  CacheBounds bounds;
  bounds.chunk = kGiB;
  const auto steps = cache_steps(list.order(), bounds, rules, {kThingTime, BootTime{}});
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].ids, std::vector<std::string>{"cheap"});
}

TEST_F(WorthInputsTest, OverItsShareOnlyTheGraceHoldsBack) {
  auto young = thing_record("young", "RUN a", kGiB);
  young.last_used = kThingTime - hours{1};
  auto old = thing_record("old", "RUN b", kGiB);
  auto held = thing_record("held", "RUN c", kGiB);
  held.last_used = kThingTime - minutes{5};
  const CacheList list({young, old, held});
  EvictionRules rules;
  rules.age = hours{4};
  rules.grace = minutes{10};
  CacheBounds bounds;
  bounds.chunk = 1;
  EXPECT_EQ(cache_steps(list.order(), bounds, rules, {kThingTime, BootTime{}}).size(), 1U);
  bounds.share = kGiB;
  const auto steps = cache_steps(list.order(), bounds, rules, {kThingTime, BootTime{}});
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].ids, std::vector<std::string>{"old"});
  EXPECT_FALSE(steps[0].is_over_share);
  EXPECT_EQ(steps[0].unused_for, Duration{hours{4}});
  EXPECT_EQ(steps[1].ids, std::vector<std::string>{"young"});
  EXPECT_TRUE(steps[1].is_over_share);
  EXPECT_EQ(steps[1].unused_for, Duration{minutes{10}});
  bounds.share = 2 * kGiB;
  EXPECT_EQ(cache_steps(list.order(), bounds, rules, {kThingTime, BootTime{}}).size(), 1U)
      << "then it is within its share";
}

// From a slow registry and from a fast one, used alike.
TEST_F(WorthInputsTest, AnImageCostsWhatItsRegistryTakes) {
  rates_.note("slow:5000", 10 * kMiB, 10, kThingTime);
  rates_.note("fast:5000", 1000 * kMiB, 10, kThingTime);
  std::vector<Candidate> images = {image("a", {"slow:5000/web:1", "slow:5000/web@sha256:1"}, kGiB, {1}),
                                   image("b", {"fast:5000/web:1", "fast:5000/web@sha256:2"}, kGiB, {2})};
  value_images(images, {used(2), used(2)}, rates_, kThingTime);
  ASSERT_TRUE(images[0].value && images[1].value);
  EXPECT_DOUBLE_EQ(images[0].value->seconds, 1024);
  EXPECT_TRUE(images[0].value->is_estimated);
  EXPECT_GT(images[0].value->worth, images[1].value->worth);
  auto seen = used(2);
  seen.seconds = 17.0;
  value_images(images, {seen, used(2)}, rates_, kThingTime);
  EXPECT_DOUBLE_EQ(images[0].value->seconds, 17);
  EXPECT_FALSE(images[0].value->is_estimated);
}

TEST_F(WorthInputsTest, RankedImagesGoByWorthAndABaseAfterWhatIsBuiltOnIt) {
  std::vector<Candidate> images = {image("base", {"base:1"}, 900 * kMiB, {1}), image("top", {"top:1"}, kGiB, {1, 2}),
                                   image("cheap", {"cheap:1"}, 3 * kGiB, {7})};
  images[2].last_use.at = kThingTime - hours{4};
  value_images(images, {used(1), used(90), used(1)}, rates_, kThingTime);
  EvictionRules rules;
  rules.by_value = true;
  const auto names = [&](const EvictionRules& by) {
    std::string all;
    auto candidates = images;
    for (auto& one : candidates) one.last_use.observed = kThingTime - one.last_use.at;
    for (const auto& one : rank(std::move(candidates), by, {kThingTime, BootTime{}}).order) all += one.id + " ";
    return all;
  };
  EXPECT_EQ(names(rules), "cheap top base ");
  rules.by_value = false;
  EXPECT_EQ(names(rules), "top base cheap ") << "used longest ago";
}

TEST_F(WorthInputsTest, AnImageOfANewerTagSupersedesOne) {
  std::vector<Candidate> images = {image("a", {"web:1"}, kGiB, {1}), image("b", {"web:2"}, kGiB, {2}),
                                   image("c", {"db:2"}, kGiB, {3})};
  std::vector<ImageFacts> facts = {used(2), used(2), used(2)};
  facts[1].use = first_use(kThingTime - hours{4});
  images[1].last_use.at = kThingTime - hours{4};
  value_images(images, facts, rates_, kThingTime);
  EXPECT_EQ(images[0].value->superseded_by, "web:2");
  EXPECT_EQ(images[1].value->superseded_by, "");
  EXPECT_EQ(images[2].value->superseded_by, "");
}

Candidate checkout(const std::string& name, Bytes size) {
  Candidate made;
  made.id = "/builds/" + name;
  made.name = "checkout " + name;
  made.size = size;
  made.is_unsized = size == 0;
  return made;
}

TEST(CheckoutValue, GoesByUsesAndWhatACloneCostsForItsBytes) {
  const WallTime now{std::chrono::hours{1000}};
  const auto used = [now](std::uint64_t uses) {
    return UseHistory{now - std::chrono::hours{9}, now - std::chrono::hours{1}, uses, Duration{0}};
  };
  std::vector<Candidate> all = {checkout("seldom", 5 * kGiB), checkout("often", 5 * kGiB), checkout("small", kMiB),
                                checkout("unsized", 0)};
  value_checkouts(all, {used(1), used(10), used(1), used(1)}, PullRates(), now);
  for (const auto& one : all) EXPECT_TRUE(one.value && one.value->is_estimated);
  EXPECT_NEAR(all[0].value->seconds, 1 + 5 * 1024 / 50.0, 0.01);
  EXPECT_NEAR(all[1].value->worth, 10 * all[0].value->worth, 0.01);
  EXPECT_GT(all[2].value->worth, 10 * all[0].value->worth) << "a clone takes a second whatever it brings";
  EXPECT_NEAR(all[3].value->worth, all[0].value->worth, 0.1 * all[0].value->worth);
  EXPECT_EQ(all[1].value->uses, 10U);
  EXPECT_NE(all[3].value->why.find("its size is not known yet"), std::string::npos);
  EXPECT_EQ(all[0].value->why.find("its size"), std::string::npos);
}

}  // namespace
}  // namespace buildwarden::policy
