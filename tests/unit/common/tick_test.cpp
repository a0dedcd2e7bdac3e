#include "common/tick.h"

#include <gtest/gtest.h>

namespace buildwarden {
namespace {

using namespace std::chrono_literals;
using Instant = std::chrono::steady_clock::time_point;

TEST(TickTest, IsTheNextMultipleOfThePeriod) {
  EXPECT_EQ(next_tick(Instant{} + 4'100ms, 2s), Instant{} + 6s);
  EXPECT_EQ(next_tick(Instant{} + 5'999ms, 2s), Instant{} + 6s);
  EXPECT_EQ(next_tick(Instant{} + 6s, 2s), Instant{} + 8s);  // after, not at
}

TEST(TickTest, LongWaitsEndOnWholeSeconds) {
  EXPECT_EQ(wait_end(Instant{} + 4'300ms, 2s), Instant{} + 6s);
  EXPECT_EQ(wait_end(Instant{} + 4'700ms, 2s), Instant{} + 7s);
  EXPECT_EQ(wait_end(Instant{} + 6'001ms, 1s), Instant{} + 7s);
}

TEST(TickTest, TheLongestWaitsEndOnTheTick) {
  EXPECT_EQ(wait_end(Instant{} + 12s, 6s), Instant{} + 18s);
  EXPECT_EQ(wait_end(Instant{} + 12'900ms, 6s), Instant{} + 18s);
  EXPECT_EQ(wait_end(Instant{} + 17'100ms, 60s), Instant{} + 78s);
  EXPECT_EQ(wait_end(Instant{} + 13s, 4'999ms), Instant{} + 18s);
  EXPECT_EQ(wait_end(Instant{} + 14s, 4'999ms), Instant{} + 19s) << "to the second";
}

TEST(TickTest, ShortWaitsAreExact) { EXPECT_EQ(wait_end(Instant{} + 4'300ms, 999ms), Instant{} + 5'299ms); }

}  // namespace
}  // namespace buildwarden
