// Which of several things goes first, and why.
#include "daemon/policy/worth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace buildwarden::policy {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr WallTime kAtRanking{std::chrono::sys_days{std::chrono::year{2026} / 11 / 30}};
using Names = std::vector<std::string>;

// Made ten hours ago, used six times since, 100 MiB, ten seconds.
Thing some_thing(std::string id, std::vector<std::string> parents = {}) {
  Thing thing;
  thing.kind = ThingKind::kCache;
  thing.id = std::move(id);
  thing.name = "RUN " + thing.id;
  thing.parents = std::move(parents);
  thing.bytes = 100 * kMiB;
  thing.cost.seconds = 10;
  thing.use = first_use(kAtRanking - hours{10});
  note_use(thing.use, kAtRanking - hours{1}, 5);
  return thing;
}

Names names_of(const std::vector<Thing>& things, const WorthOrder& order) {
  Names names;
  for (const auto& place : order) names.push_back(things[place.thing].id);
  return names;
}

Names by_value(const std::vector<Thing>& things) { return names_of(things, order_by_value(things, kAtRanking)); }

const Place& place_of(const std::string& id, const std::vector<Thing>& things, const WorthOrder& order) {
  return *std::find_if(order.begin(), order.end(), [&](const Place& place) { return things[place.thing].id == id; });
}

TEST(Worth, WhatIsCheapToGetBackGoesFirst) {
  std::vector things{some_thing("dear"), some_thing("cheap")};
  things[0].cost.seconds = 720;
  EXPECT_THAT(by_value(things), ElementsAre("cheap", "dear"));
}

TEST(Worth, WhatGivesMoreBackGoesFirst) {
  std::vector things{some_thing("small"), some_thing("large")};
  things[1].bytes = 2 * kGiB;
  EXPECT_THAT(by_value(things), ElementsAre("large", "small"));
}

TEST(Worth, WhatIsUsedSeldomGoesFirst) {
  std::vector things{some_thing("often"), some_thing("seldom")};
  things[1].use.uses = 2;
  EXPECT_THAT(by_value(things), ElementsAre("seldom", "often"));
}

TEST(Worth, WhatIsOlderAndUsedAsOftenGoesFirst) {
  std::vector things{some_thing("young"), some_thing("old")};
  things[1].use.first_seen = kAtRanking - hours{40};
  EXPECT_THAT(by_value(things), ElementsAre("old", "young"));
}

TEST(Worth, WhatIsSupersededGoesFirst) {
  std::vector things{some_thing("current"), some_thing("past")};
  things[1].superseded_by = "current";
  things[1].cost.seconds = 40;  // though it is dearer
  EXPECT_THAT(by_value(things), ElementsAre("past", "current"));
}

TEST(Worth, ADearStepStaysWhereALargeImageGoes) {
  std::vector things{some_thing("step"), some_thing("base")};
  things[0].bytes = 40 * kMiB;
  things[0].cost.seconds = 720;
  things[1].kind = ThingKind::kImage;
  things[1].bytes = 2 * kGiB;
  things[1].cost.seconds = 15;
  note_use(things[1].use, kAtRanking, 30);  // used last, and six times as often
  EXPECT_THAT(by_value(things), ElementsAre("base", "step"));
  EXPECT_THAT(names_of(things, order_by_last_use(things, kAtRanking)), ElementsAre("step", "base"));
}

TEST(Worth, WhatIsSentAnywayIsWorthNothing) {
  std::vector things{some_thing("cheap"), some_thing("context")};
  things[0].cost.seconds = 0.01;
  things[1].is_sent_anyway = true;
  const auto order = order_by_value(things, kAtRanking);
  EXPECT_THAT(names_of(things, order), ElementsAre("context", "cheap"));
  EXPECT_EQ(order[0].worth, 0);
  EXPECT_THAT(why(things[1], order[0], kAtRanking), HasSubstr("each job sends it whole"));
}

TEST(Worth, ANewVersionInheritsHowOftenItsLineIsNeeded) {
  std::vector things{some_thing("busy line"), some_thing("idle line")};
  for (auto& thing : things) thing.use = first_use(kAtRanking - minutes{5});
  things[0].slot_history = {{kAtRanking - hours{10}, kAtRanking - minutes{5}, 50, {}}, 40};
  things[1].slot_history = {{kAtRanking - hours{10}, kAtRanking - minutes{5}, 2, {}}, 1};
  EXPECT_THAT(by_value(things), ElementsAre("idle line", "busy line"));
}

TEST(Worth, AVersionWhoseLineNeverKeepsItsVersionsGoesFirst) {
  std::vector things{some_thing("kept"), some_thing("replaced")};
  for (auto& thing : things) thing.use = first_use(kAtRanking - minutes{5});
  things[0].slot_history = {{kAtRanking - hours{10}, kAtRanking - minutes{5}, 20, {}}, 18};
  things[1].slot_history = {{kAtRanking - hours{10}, kAtRanking - minutes{5}, 20, {}}, 1};
  EXPECT_THAT(by_value(things), ElementsAre("replaced", "kept"));
}

TEST(Worth, WhatItsLineDoesWithoutIsExpectedLess) {
  auto thing = some_thing("thing");
  thing.slot_history = {{kAtRanking - hours{10}, thing.use.last_use, 12, {}}, 10};
  const auto current = expected_uses_per_hour(thing, kAtRanking);
  thing.slot_history.use.last_use = kAtRanking;
  const auto passed = expected_uses_per_hour(thing, kAtRanking);
  EXPECT_LT(passed, current);
  thing.use.last_use = kAtRanking - hours{8};
  EXPECT_LT(expected_uses_per_hour(thing, kAtRanking), passed);
}

TEST(Worth, WhatWasNeverSeenUsedIsStillRankedByItsCost) {
  std::vector things{some_thing("dear"), some_thing("cheap")};
  for (auto& thing : things) thing.use = {kAtRanking, kAtRanking, 0, {}};
  things[0].cost.seconds = 90;
  EXPECT_THAT(by_value(things), ElementsAre("cheap", "dear"));
}

TEST(WorthOfTrees, ARecordGoesOnlyAfterAllThatAreBuiltOnIt) {
  std::vector things{some_thing("base"), some_thing("cheap leaf", {"base"}), some_thing("dear leaf", {"base"})};
  things[0].cost.seconds = 0.1;
  things[1].cost.seconds = 1;
  things[2].cost.seconds = 60;
  const auto order = order_by_value(things, kAtRanking);
  EXPECT_THAT(names_of(things, order), ElementsAre("cheap leaf", "dear leaf", "base"));
  // The base cannot go without the dear leaf: both stand at the cost and the bytes of both.
  EXPECT_EQ(order[1].unit, order[2].unit);
  EXPECT_EQ(order[2].with, 1U);
  EXPECT_NEAR(order[2].seconds, 60.1, 1e-9);
  EXPECT_EQ(order[2].bytes, 200 * kMiB);
  EXPECT_NE(order[0].unit, order[2].unit);
}

TEST(WorthOfTrees, ACheapBaseUnderADearLeafGoesWithItBeforeWhatIsDearer) {
  std::vector things{some_thing("base"), some_thing("leaf", {"base"}), some_thing("other")};
  things[0].bytes = 10 * kGiB;
  things[1].bytes = kMiB;
  things[1].cost.seconds = 60;
  EXPECT_THAT(by_value(things), ElementsAre("leaf", "base", "other"));
}

TEST(WorthOfTrees, ARecordIsUsedAsOftenAsTheMostUsedThatIsBuiltOnIt) {
  std::vector things{some_thing("base"), some_thing("leaf", {"base"}), some_thing("other")};
  things[0].use.uses = 1;
  things[1].use.uses = 60;
  things[1].cost.seconds = 0;
  EXPECT_THAT(by_value(things), ElementsAre("leaf", "other", "base"));
}

TEST(WorthOfTrees, AllParentsWait) {
  std::vector things{some_thing("one"), some_thing("two"), some_thing("merged", {"one", "two"})};
  things[1].cost.seconds = 0;
  things[2].cost.seconds = 500;
  EXPECT_EQ(by_value(things).front(), "merged");
}

TEST(WorthOfTrees, ThoseOfAnotherBuilderAreNoParents) {
  std::vector things{some_thing("base"), some_thing("leaf", {"base"})};
  things[1].builder = "s3";
  things[1].cost.seconds = 500;
  EXPECT_THAT(by_value(things), ElementsAre("base", "leaf"));
}

TEST(WorthOfTrees, RecordsInARingStandAtTheEnd) {
  std::vector things{some_thing("one", {"two"}), some_thing("two", {"one"}), some_thing("good")};
  things[2].cost.seconds = 9000;
  EXPECT_THAT(by_value(things), ElementsAre("good", "one", "two"));
}

TEST(WorthOfTrees, ByLastUseARecordWasUsedWhenWhatIsBuiltOnItWas) {
  std::vector things{some_thing("base"), some_thing("leaf", {"base"}), some_thing("between")};
  things[0].use.last_use = kAtRanking - hours{9};
  things[1].use.last_use = kAtRanking - hours{1};
  things[2].use.last_use = kAtRanking - hours{2};
  EXPECT_THAT(names_of(things, order_by_last_use(things, kAtRanking)), ElementsAre("between", "leaf", "base"));
}

TEST(Worth, IsExplainedWithItsNumbers) {
  std::vector things{some_thing("base"), some_thing("leaf", {"base"}), some_thing("alone")};
  things[0].cost = {0.5, true};
  things[2].cost.seconds = 12.4;
  things[2].superseded_by = "r9";
  const auto order = order_by_value(things, kAtRanking);
  EXPECT_EQ(
      why(things[2], place_of("alone", things, order), kAtRanking),
      "costs 12.4 s to get back, used 6 times in 10h, last 1h ago, superseded by r9, gives back 100.0 MiB: keeping "
      "it saves 13.9 s an hour for each GiB");
  EXPECT_THAT(why(things[0], place_of("base", things, order), kAtRanking),
              HasSubstr("costs 10.5 s to get back with 1 more that go with it (estimated), used 6 times in 10h"));
}

TEST(Superseded, ByWhatTookItsSlotSinceItsLastUse) {
  std::vector things{some_thing("old"), some_thing("new"), some_thing("elsewhere")};
  things[0].slot = things[1].slot = cache_slot(0, "s3", "RUN make");
  things[2].slot = cache_slot(0, "s3", "RUN test");
  things[1].use = first_use(kAtRanking - minutes{30});  // after the last use of the old one
  mark_superseded(things);
  EXPECT_EQ(things[0].superseded_by, "new");
  EXPECT_EQ(things[1].superseded_by, "");
  EXPECT_EQ(things[2].superseded_by, "");
}

TEST(Superseded, NotWhileBothAreUsed) {
  std::vector things{some_thing("main"), some_thing("branch")};
  things[0].slot = things[1].slot = image_slot("web");
  things[1].use = first_use(kAtRanking - hours{2});  // before the last use of the other
  mark_superseded(things);
  EXPECT_EQ(things[0].superseded_by, "");
  EXPECT_EQ(things[1].superseded_by, "");
}

TEST(UseHistory, NotesUsesAndTheirGaps) {
  auto use = first_use(kAtRanking);
  note_use(use, kAtRanking + hours{4});
  EXPECT_EQ(use.gap, hours{4});
  note_use(use, kAtRanking + hours{6}, 3);
  EXPECT_EQ(use.gap, hours{3});
  EXPECT_EQ(use.uses, 5U);
  note_use(use, kAtRanking);  // the clock was set back
  EXPECT_EQ(use.last_use, kAtRanking + hours{6});
  note_use(use, kAtRanking + hours{9}, 0);
  EXPECT_EQ(use.uses, 6U);
}

TEST(Slots, AreChainsOfDescriptionsWithinABuilder) {
  const auto base = cache_slot(0, "s3", "FROM node:18");
  EXPECT_EQ(base, cache_slot(0, "s3", "FROM node:18"));
  EXPECT_EQ(base, 14'021'059'673'610'537'792U);  // kept over versions
  EXPECT_NE(base, cache_slot(0, "", "FROM node:18"));
  EXPECT_NE(cache_slot(base, "s3", "RUN make"), cache_slot(0, "s3", "RUN make"));
  SlotHistory slot;
  note_slot_use(slot, kAtRanking, false);
  note_slot_use(slot, kAtRanking + hours{1}, true);
  EXPECT_EQ(slot.use.uses, 2U);
  EXPECT_EQ(slot.unchanged, 1U);
}

}  // namespace
}  // namespace buildwarden::policy
