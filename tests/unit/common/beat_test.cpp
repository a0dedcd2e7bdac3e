#include "common/beat.h"

#include <gtest/gtest.h>

namespace buildwarden {
namespace {

using namespace std::chrono_literals;
using Instant = std::chrono::steady_clock::time_point;

TEST(BeatTest, IsTheNextMultipleOfThePeriod) {
  EXPECT_EQ(next_beat(Instant{} + 4'100ms, 2s), Instant{} + 6s);
  EXPECT_EQ(next_beat(Instant{} + 5'999ms, 2s), Instant{} + 6s);
  EXPECT_EQ(next_beat(Instant{} + 6s, 2s), Instant{} + 8s);  // after, not at
}

TEST(BeatTest, LongWaitsEndOnWholeSeconds) {
  EXPECT_EQ(wait_end(Instant{} + 4'300ms, 2s), Instant{} + 6s);
  EXPECT_EQ(wait_end(Instant{} + 4'700ms, 2s), Instant{} + 7s);
  EXPECT_EQ(wait_end(Instant{} + 6'001ms, 1s), Instant{} + 7s);
}

TEST(BeatTest, TheLongestWaitsEndOnTheBeat) {
  EXPECT_EQ(wait_end(Instant{} + 12s, 6s), Instant{} + 18s);
  EXPECT_EQ(wait_end(Instant{} + 12'900ms, 6s), Instant{} + 18s);
  EXPECT_EQ(wait_end(Instant{} + 17'100ms, 60s), Instant{} + 78s);
  EXPECT_EQ(wait_end(Instant{} + 13s, 4'999ms), Instant{} + 18s);
  EXPECT_EQ(wait_end(Instant{} + 14s, 4'999ms), Instant{} + 19s) << "to the second";
}

TEST(BeatTest, ShortWaitsAreExact) { EXPECT_EQ(wait_end(Instant{} + 4'300ms, 999ms), Instant{} + 5'299ms); }

}  // namespace
}  // namespace buildwarden
