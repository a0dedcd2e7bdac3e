#include "daemon/policy/trend.h"

#include <gtest/gtest.h>

#include <chrono>

namespace buildwarden::policy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Reading at(Duration when, Bytes free, Bytes total = 1000 * kGiB) {
  return {total, free, 0, 0, {WallTime{when}, BootTime{when}}};
}

std::vector<Reading> falling(int count, Duration apart, Bytes from, Bytes by) {
  std::vector<Reading> readings;
  readings.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) readings.push_back(at(apart * i, from - by * i));
  return readings;
}

TEST(Trend, NeedsEnoughPointsAndEnoughTime) {
  EXPECT_FALSE(trend_of({}));
  EXPECT_FALSE(trend_of(falling(4, seconds{1}, kGiB, kMiB)));
  EXPECT_FALSE(trend_of(falling(5, milliseconds{249}, kGiB, kMiB)));
  const auto trend = trend_of(falling(5, milliseconds{250}, kGiB, kMiB));
  ASSERT_TRUE(trend);
  EXPECT_DOUBLE_EQ(trend->bytes_per_second, 4.0 * kMiB);
  EXPECT_TRUE(trend->steady_bytes);
}

TEST(Trend, OneWrongReadingDoesNotBendIt) {
  auto readings = falling(9, seconds{1}, 100 * kGiB, kMiB);
  readings[4].free = 0;
  const auto trend = trend_of(readings);
  ASSERT_TRUE(trend);
  EXPECT_NEAR(trend->bytes_per_second, 1.0 * kMiB, 0.1 * kMiB);
}

TEST(Trend, ABurstIsNotSteady) {
  auto readings = falling(10, seconds{1}, 100 * kGiB, 0);
  for (std::size_t i = 8; i < readings.size(); ++i) readings[i].free -= 10 * kGiB;
  const auto trend = trend_of(readings);
  ASSERT_TRUE(trend);
  EXPECT_FALSE(trend->steady_bytes);
  EXPECT_DOUBLE_EQ(trend->bytes_per_second, 0);
}

TEST(Trend, AnEmptyingDiskHasANegativeRate) {
  const auto trend = trend_of(falling(6, seconds{1}, kGiB, -kMiB));
  ASSERT_TRUE(trend);
  EXPECT_DOUBLE_EQ(trend->bytes_per_second, -1.0 * kMiB);
  EXPECT_FALSE(trend->steady_bytes);
}

TEST(Trend, NothingIsMeasuredOverAGap) {
  auto readings = falling(4, seconds{1}, 100 * kGiB, kMiB);
  const auto after = seconds{3} + seconds{10} + milliseconds{1};
  for (int i = 0; i < 4; ++i) readings.push_back(at(after + seconds{i}, kGiB));
  EXPECT_FALSE(trend_of(readings));
  readings.push_back(at(after + seconds{4}, kGiB));
  const auto trend = trend_of(readings);
  ASSERT_TRUE(trend);
  EXPECT_DOUBLE_EQ(trend->bytes_per_second, 0);
}

TEST(Trend, WhatIsOlderThanTheWindowDoesNotCount) {
  auto readings = falling(21, seconds{1}, 100 * kGiB, 0);
  for (std::size_t i = 10; i < readings.size(); ++i) readings[i].free -= static_cast<Bytes>(i - 10) * kGiB;
  const auto trend = trend_of(readings);
  ASSERT_TRUE(trend);
  EXPECT_DOUBLE_EQ(trend->bytes_per_second, 1.0 * kGiB);
}

TEST(LastSlope, TakesTwoReadingsWithoutAGap) {
  EXPECT_DOUBLE_EQ(last_slope({at(seconds{0}, kGiB)}), 0);
  EXPECT_DOUBLE_EQ(last_slope({at(seconds{0}, kGiB), at(milliseconds{500}, kGiB - kMiB)}), 2.0 * kMiB);
  EXPECT_DOUBLE_EQ(last_slope({at(seconds{0}, kGiB), at(seconds{11}, 0)}), 0);
}

TEST(SureSlope, IsTheLeastOfTheLastFourWithinASecond) {
  auto readings = falling(6, milliseconds{50}, 10 * kGiB, 100 * kMiB);
  EXPECT_DOUBLE_EQ(sure_slope(readings), 2000.0 * kMiB);
  readings[4].free += 50 * kMiB;
  EXPECT_DOUBLE_EQ(sure_slope(readings), 1000.0 * kMiB);
  readings[4].free += 50 * kMiB;
  EXPECT_DOUBLE_EQ(sure_slope(readings), 0) << "one of them stands still";
  EXPECT_DOUBLE_EQ(sure_slope(falling(3, milliseconds{50}, kGiB, kMiB)), 0) << "too few";
  EXPECT_DOUBLE_EQ(sure_slope(falling(4, milliseconds{334}, kGiB, kMiB)), 0) << "too long apart";
  EXPECT_DOUBLE_EQ(sure_slope(falling(4, milliseconds{50}, kGiB, -kMiB)), 0) << "it empties";
}

TEST(Remember, SpansSecondsAtAnyPace) {
  std::vector<Reading> readings;
  for (int i = 0; i <= 1000; ++i) remember(readings, at(milliseconds{20} * i, kGiB - i));
  EXPECT_EQ(readings.size(), kRecentReadings);
  EXPECT_EQ(readings.back().free, kGiB - 1000);
  EXPECT_GE(readings.back().at.boot - readings.front().at.boot, seconds{2});
  for (std::size_t i = 2; i < readings.size(); ++i)
    EXPECT_GE(readings[i].at.boot - readings[i - 2].at.boot, milliseconds{100});
}

TEST(Remember, StartsAnewWhenTheSizeChangesOrTimeDoesNotAdvance) {
  std::vector<Reading> readings{at(seconds{1}, kGiB), at(seconds{2}, kGiB)};
  remember(readings, at(seconds{3}, kGiB, 500 * kGiB));
  EXPECT_EQ(readings.size(), 1U);
  remember(readings, at(seconds{3}, kMiB, 500 * kGiB));
  ASSERT_EQ(readings.size(), 1U);
  EXPECT_EQ(readings[0].free, kMiB);
}

TEST(TimeUntil, IsNothingForWhatDoesNotShrinkOrLastsLong) {
  EXPECT_FALSE(time_until(100, 0));
  EXPECT_FALSE(time_until(100, -1));
  EXPECT_FALSE(time_until(1e18, 1e-9));
  EXPECT_EQ(time_until(100, 10), seconds{10});
  EXPECT_EQ(time_until(-1, 10), seconds{0});
  EXPECT_EQ(time_until(30.0 * 86'400, 1), std::chrono::days{30});
  EXPECT_FALSE(time_until(30.0 * 86'400 + 1, 1));
}

}  // namespace
}  // namespace buildwarden::policy
