#include "daemon/policy/leases.h"

#include <gtest/gtest.h>

namespace buildwarden::policy {
namespace {

constexpr uid_t kJob = 2000;
constexpr auto kAlive = BootTime{std::chrono::hours{1}};

TEST(Leases, EachUserHasAShareAndRootAPart) {
  EXPECT_EQ(why_no_place(kJob, {0, 0}), "");
  EXPECT_EQ(why_no_place(kJob, {kLeasesOfUser - 1, kLeasesOfUser - 1}), "");
  EXPECT_NE(why_no_place(kJob, {kLeasesOfUser, kLeasesOfUser}), "");
  EXPECT_EQ(why_no_place(kJob, {kLeasesOfUser, 0}), "") << "another user's";
  EXPECT_NE(why_no_place(kJob, {kMostLeases - kLeasesForRoot, 0}), "");
  EXPECT_EQ(why_no_place(0, {kMostLeases - kLeasesForRoot, kMostLeases - kLeasesForRoot}), "");
  EXPECT_EQ(why_no_place(0, {kMostLeases - 1, 0}), "");
  EXPECT_NE(why_no_place(0, {kMostLeases, 0}), "");
  EXPECT_EQ(why_no_place(kJob, {130, kLeasesOfUser}), "user 2000 has 128 jobs already, which is the most of one user");
}

TEST(Leases, ProtectForAsLongAsTheirJobMayLive) {
  const LeaseLife unproven{.has_process = false, .alive = kAlive};
  const auto over = kAlive + kProtectsUnproven;
  EXPECT_TRUE(protects(unproven, kAlive, over - Duration{1}));
  EXPECT_FALSE(protects(unproven, over, over));
  EXPECT_TRUE(protects(unproven, over - Duration{1}, over + std::chrono::hours{9})) << "nobody has looked since";
  EXPECT_TRUE(protects({.has_process = true, .alive = kAlive}, over, over + std::chrono::hours{9}));
}

}  // namespace
}  // namespace buildwarden::policy
