#include "daemon/policy/ballast.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>

namespace buildwarden::policy {
namespace {

// 100 GiB, target 25 GiB, ballast 1 GiB.
struct PlanCase {  // NOLINT(clang-analyzer-optin.performance.Padding)
  const char* name;
  Level level;
  Bytes free;
  Bytes held;
  BallastAct act;
  Bytes size;
  const char* rule;
};
std::ostream& operator<<(std::ostream& out, const PlanCase& c) { return out << c.name; }

BallastSituation situation(Level level, Bytes free, Bytes held) {
  BallastSituation now;
  now.reading = Reading{100 * kGiB, free, 1000, 500, {}};
  now.level = level;
  now.marks.critical = 5 * kGiB;
  now.marks.low = 15 * kGiB;
  now.marks.target = 25 * kGiB;
  now.held = held;
  return now;
}

class Plans : public testing::TestWithParam<PlanCase> {};

TEST_P(Plans, FollowTheLevel) {
  const auto& c = GetParam();
  const auto plan = plan_ballast({}, situation(c.level, c.free, c.held));
  EXPECT_EQ(static_cast<int>(plan.act), static_cast<int>(c.act));
  EXPECT_EQ(plan.size, c.size);
  EXPECT_EQ(plan.rule, c.rule);
  EXPECT_FALSE(plan.reason.empty());
}

constexpr auto kKeep = BallastAct::kKeep;
const PlanCase kPlanCases[] = {
    {"made with room to spare", Level::kOk, 60 * kGiB, 0, BallastAct::kMake, kGiB, "enough"},
    {"made at target and ballast", Level::kOk, 26 * kGiB, 0, BallastAct::kMake, kGiB, "enough"},
    {"not a byte below", Level::kOk, 26 * kGiB - 1, 0, kKeep, 0, "not_enough"},
    {"not while low, however much is free", Level::kLow, 60 * kGiB, 0, kKeep, 0, "not_enough"},
    {"kept at ok", Level::kOk, 26 * kGiB, kGiB, kKeep, kGiB, "held"},
    {"kept at low", Level::kLow, 10 * kGiB, kGiB, kKeep, kGiB, "held"},
    {"kept at critical", Level::kCritical, kGiB, kGiB, kKeep, kGiB, "held"},
    {"given at exhausted", Level::kExhausted, 0, kGiB, BallastAct::kGive, 0, "exhausted"},
    {"given when only a sliver is left", Level::kExhausted, 20 * kKiB, kGiB, BallastAct::kGive, 0, "exhausted"},
    {"given once", Level::kExhausted, 0, 0, kKeep, 0, "given"},
    {"kept when only inodes are exhausted", Level::kExhausted, 10 * kGiB, kGiB, kKeep, kGiB, "held"},
    {"kept at unknown", Level::kUnknown, 0, kGiB, kKeep, kGiB, "level_unknown"},
    {"not made at unknown", Level::kUnknown, 60 * kGiB, 0, kKeep, 0, "level_unknown"},
    {"made larger", Level::kOk, 25 * kGiB + 512 * kMiB, 512 * kMiB, BallastAct::kMake, kGiB, "enough"},
    {"not made larger below that", Level::kOk, 25 * kGiB, 512 * kMiB, kKeep, 512 * kMiB, "not_enough"},
    {"a rounding is no reason to make it larger", Level::kOk, 60 * kGiB, kGiB - 1, kKeep, kGiB - 1, "held"},
    {"cut", Level::kOk, 60 * kGiB, 2 * kGiB, BallastAct::kShrink, kGiB, "configured"},
    {"cut at critical, too", Level::kCritical, kGiB, 2 * kGiB, BallastAct::kShrink, kGiB, "configured"},
};
INSTANTIATE_TEST_SUITE_P(Ballast, Plans, testing::ValuesIn(kPlanCases));

TEST(Ballast, WithoutAReadingNothingHappens) {
  auto now = situation(Level::kExhausted, 0, kGiB);
  now.reading.reset();
  EXPECT_EQ(plan_ballast({}, now).act, BallastAct::kKeep);
  // A reading whose level is not known says as little: one that is larger than configured is not cut by it.
  EXPECT_EQ(plan_ballast({}, situation(Level::kUnknown, 60 * kGiB, 2 * kGiB)).rule, "level_unknown");
}

TEST(Ballast, NothingIsMadeWhileSpaceIsWanted) {
  auto now = situation(Level::kOk, 60 * kGiB, 0);
  now.reclaim = true;
  EXPECT_EQ(plan_ballast({}, now).rule, "not_enough");
}

TEST(Ballast, WaitsForTheOperatorsWishesButIsGivenWithoutThem) {
  auto now = situation(Level::kOk, 60 * kGiB, 0);
  now.wishes_known = false;
  EXPECT_EQ(plan_ballast({}, now).act, BallastAct::kKeep);
  EXPECT_EQ(plan_ballast({}, now).rule, "wishes_unknown");
  now = situation(Level::kExhausted, 0, kGiB);
  now.wishes_known = false;
  EXPECT_EQ(plan_ballast({}, now).act, BallastAct::kGive);
}

TEST(Ballast, NoneConfiguredIsRemoved) {
  DiskSettings none;
  none.ballast = Amount::bytes(0);
  const auto removed = plan_ballast(none, situation(Level::kOk, 60 * kGiB, kGiB));
  EXPECT_EQ(removed.act, BallastAct::kRemove);
  EXPECT_EQ(removed.rule, "configured");
  EXPECT_EQ(plan_ballast(none, situation(Level::kOk, 60 * kGiB, 0)).act, BallastAct::kKeep);
}

TEST(Ballast, IsAtMostAFiftiethInWholeUnits) {
  const auto size = [](Amount amount, Bytes total) {
    DiskSettings settings;
    settings.ballast = amount;
    return ballast_size(settings, total);
  };
  EXPECT_EQ(size(Amount::bytes(kGiB), 100 * kGiB), kGiB);
  EXPECT_EQ(size(Amount::bytes(kGiB), 50 * kGiB), kGiB);
  EXPECT_EQ(size(Amount::bytes(kGiB), 10 * kGiB), 204 * kMiB);
  EXPECT_EQ(size(Amount::share(0.5), 100 * kGiB), 2 * kGiB);
  EXPECT_EQ(size(Amount::share(0.01), 100 * kGiB), kGiB);
  EXPECT_EQ(size(Amount::bytes(kGiB), 50 * kMiB), kMiB);
  EXPECT_EQ(size(Amount::bytes(kGiB), 50 * kMiB - 1), 0);
  EXPECT_EQ(size(Amount::bytes(kGiB), 0), 0);
  EXPECT_EQ(size(Amount::bytes(kGiB), -5), 0);
  auto tiny = situation(Level::kOk, 10 * kMiB, 0);
  tiny.reading->total = 40 * kMiB;
  tiny.marks = {};
  EXPECT_EQ(plan_ballast({}, tiny).rule, "too_small");
}

TEST(Ballast, ReasonsCarryTheNumbers) {
  EXPECT_EQ(plan_ballast({}, situation(Level::kOk, 20 * kGiB, 0)).reason,
            "20.00 GiB are free, and 1.00 GiB above the target of 25.00 GiB must be before it is made");
  EXPECT_EQ(plan_ballast({}, situation(Level::kExhausted, 0, kGiB)).reason, "0 B of 100.00 GiB are free");
}

}  // namespace
}  // namespace buildwarden::policy
