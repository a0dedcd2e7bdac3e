#include "daemon/reclaim/reclaim_goal.h"

#include <gtest/gtest.h>

namespace buildwarden::disk {
namespace {

TEST(Goals, ADiskThatOthersFillWithinTenSecondsIsInAHurry) {
  const auto looked = [](Bytes free, const char* mount) {
    GoalStatus standing;
    standing.free = free;
    standing.mount = mount;
    return standing;
  };
  const Duration between{20};
  const auto before = looked(10 * kGiB, "/docker");
  EXPECT_TRUE(fills_at_once(before, looked(10 * kGiB - 21 * kMiB, "/docker"), between));
  EXPECT_FALSE(fills_at_once(before, looked(10 * kGiB - 20 * kMiB, "/docker"), between));
  EXPECT_FALSE(fills_at_once(before, looked(11 * kGiB, "/docker"), between));
  EXPECT_FALSE(fills_at_once(before, looked(kGiB, "/other"), between)) << "another one is the shortest now";
  EXPECT_FALSE(fills_at_once(before, looked(kGiB, "/docker"), Duration{0}));
}

}  // namespace
}  // namespace buildwarden::disk
