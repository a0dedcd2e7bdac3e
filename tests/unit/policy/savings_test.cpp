#include "daemon/policy/savings.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "daemon/policy/job_periods.h"

namespace buildwarden::policy {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr WallTime kNoon{hours{24 * 20'000 + 12}};  // of some day, UTC
const AccountId kSavedByImages{"", Account::kSaved, ThingKind::kImage};
const AccountId kSavedForWeb{"web", Account::kSaved, ThingKind::kImage};

TEST(Savings, APipelinesAreTheHostsAsWell) {
  Savings savings;
  savings.note(kSavedForWeb, {10, 0, 5, 1}, kNoon);
  savings.note(kSavedByImages, {20, 20, 0, 1}, kNoon);
  EXPECT_EQ(savings.rows().at(kSavedByImages).total, (Amount{30, 20, 5, 2}));
  EXPECT_EQ(savings.rows().at(kSavedForWeb).total, (Amount{10, 0, 5, 1}));
  EXPECT_EQ(savings.rows().size(), 2U) << "nothing was regretted";
}

TEST(Savings, ADayEndsAtMidnight) {
  Savings savings;
  savings.note(kSavedByImages, {10, 0, 0, 1}, kNoon);
  savings.note(kSavedByImages, {5, 0, 0, 1}, kNoon + hours{11});
  const auto today = [&](WallTime now) { return Savings::today(savings.rows().at(kSavedByImages), now).seconds; };
  EXPECT_DOUBLE_EQ(today(kNoon + hours{11}), 15);
  EXPECT_DOUBLE_EQ(today(kNoon + hours{13}), 0);
  savings.note(kSavedByImages, {1, 0, 0, 1}, kNoon + hours{13});
  EXPECT_DOUBLE_EQ(today(kNoon + hours{13}), 1);
  EXPECT_DOUBLE_EQ(savings.rows().at(kSavedByImages).total.seconds, 16);
}

// A cache is looked at hours or days after it was used.
TEST(Savings, WhatIsOfAnEarlierDayIsNotOfToday) {
  Savings savings;
  savings.note(kSavedByImages, {1, 0, 0, 1}, kNoon);
  savings.note(kSavedByImages, {50, 0, 0, 1}, kNoon - hours{24});
  const auto& row = savings.rows().at(kSavedByImages);
  EXPECT_DOUBLE_EQ(row.total.seconds, 51);
  EXPECT_DOUBLE_EQ(Savings::today(row, kNoon).seconds, 1);
}

TEST(Savings, AClockThatWasAheadDoesNotHideTheDaysToCome) {
  Savings savings;
  savings.note(kSavedByImages, {7, 0, 0, 1}, kNoon + hours{24 * 365});
  savings.bound_time(kNoon);
  savings.note(kSavedByImages, {1, 0, 0, 1}, kNoon);
  const auto& row = savings.rows().at(kSavedByImages);
  EXPECT_DOUBLE_EQ(Savings::today(row, kNoon).seconds, 1);
  EXPECT_DOUBLE_EQ(row.total.seconds, 8);
  savings.bound_time(kNoon);
  EXPECT_DOUBLE_EQ(Savings::today(row, kNoon).seconds, 1) << "today is today";
}

TEST(Savings, WhatWasKeptIsAddedToWhatCameBeforeItWasLoaded) {
  Savings savings;
  savings.note(kSavedByImages, {1, 0, 0, 1}, kNoon);
  savings.restore(kSavedByImages, {{100, 40, 7, 9}, {10, 4, 0, 2}, kNoon - hours{1}});
  EXPECT_EQ(savings.rows().at(kSavedByImages).total, (Amount{101, 40, 7, 10}));
  EXPECT_EQ(savings.rows().at(kSavedByImages).of_day, (Amount{11, 4, 0, 3}));
  savings.restore(kSavedByImages, {{100, 0, 0, 1}, {50, 0, 0, 1}, kNoon - hours{24}});
  EXPECT_EQ(savings.rows().at(kSavedByImages).of_day, (Amount{11, 4, 0, 3})) << "yesterday's";
}

TEST(Savings, OfTooManyPipelinesTheOneThatWasNotedLongestAgoIsForgotten) {
  Savings savings;
  for (std::size_t i = 0; i <= Savings::kMostPipelines; ++i) {
    const AccountId id{"p" + std::to_string(i), Account::kSaved, ThingKind::kImage};
    savings.note(id, {1, 0, 0, 1}, kNoon + minutes{i});
  }
  EXPECT_FALSE(savings.rows().contains({"p0", Account::kSaved, ThingKind::kImage}));
  EXPECT_EQ(savings.rows().size(), Savings::kMostPipelines + 1) << "with the host's";
  EXPECT_DOUBLE_EQ(savings.rows().at(kSavedByImages).total.seconds, Savings::kMostPipelines + 1);
  EXPECT_EQ(savings.take_changes().forgotten.size(), 1U);
}

TEST(Deleted, IsRegrettedOnceAndWithinADay) {
  Deleted deleted;
  deleted.note("image a", {10, 0, 3, 1}, kNoon);
  EXPECT_FALSE(deleted.made_again("image a", kNoon - minutes{1})) << "made before it was deleted";
  EXPECT_FALSE(deleted.made_again("image b", kNoon + hours{1}));
  EXPECT_EQ(deleted.made_again("image a", kNoon + hours{24}), (Amount{10, 0, 3, 1}));
  EXPECT_FALSE(deleted.made_again("image a", kNoon + hours{24})) << "it cost that once";
  deleted.note("image a", {10, 0, 3, 1}, kNoon);
  EXPECT_FALSE(deleted.made_again("image a", kNoon + hours{24} + minutes{1}));
}

TEST(Deleted, IsForgottenAfterADayAndBounded) {
  Deleted deleted;
  deleted.note("old", {1, 0, 0, 1}, kNoon);
  deleted.note("new", {1, 0, 0, 1}, kNoon + hours{2});
  EXPECT_EQ(deleted.forget(kNoon + hours{25}), std::vector<std::string>{"old"});
  for (std::size_t i = 0; i < Deleted::kMost; ++i) {
    deleted.note(std::to_string(i), {1, 0, 0, 1}, kNoon + hours{3});
  }
  EXPECT_EQ(deleted.all().size(), Deleted::kMost);
  EXPECT_EQ(deleted.forget(kNoon + hours{3}), std::vector<std::string>{"new"});
}

TEST(Deleted, KnowsTheSlotsOfABuilder) {
  Deleted deleted;
  deleted.note(cache_key("s3", 255), {1, 0, 0, 1}, kNoon);
  deleted.note(cache_key("s", 7), {1, 0, 0, 1}, kNoon);
  deleted.note(cache_key("", 9), {1, 0, 0, 1}, kNoon);
  EXPECT_EQ(deleted.slots_of("s3"), (std::map<SlotId, WallTime>{{255, kNoon}}));
  EXPECT_EQ(deleted.slots_of(""), (std::map<SlotId, WallTime>{{9, kNoon}}));
}

TEST(JobPeriods, TellAPipelineOnlyWhereAllJobsAreOfIt) {
  JobPeriods jobs;
  jobs.runs({"1", "web", {"s3"}, kNoon});
  jobs.runs({"2", "web", {}, kNoon + minutes{1}});
  EXPECT_EQ(jobs.pipeline_at(kNoon - minutes{1}, "s3"), "");
  EXPECT_EQ(jobs.pipeline_at(kNoon + minutes{2}, "s3"), "web");
  jobs.runs({"3", "app", {"other"}, kNoon + minutes{3}});
  EXPECT_EQ(jobs.pipeline_at(kNoon + minutes{4}, "s3"), "web") << "that one was not given it";
  EXPECT_EQ(jobs.pipeline_at(kNoon + minutes{4}, ""), "") << "each may use the engine";
  jobs.ended("3", kNoon + minutes{5});
  EXPECT_EQ(jobs.pipeline_at(kNoon + minutes{6}, ""), "web");
  EXPECT_EQ(jobs.pipeline_at(kNoon + minutes{4}, ""), "") << "as it was";
  EXPECT_EQ(jobs.jobs_at(kNoon + minutes{4}).size(), 3U);
}

}  // namespace
}  // namespace buildwarden::policy
