#include "daemon/policy/pressure.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ostream>

namespace buildwarden::policy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Marks kMarks{.critical = 5 * kGiB,
                   .low = 15 * kGiB,
                   .target = 25 * kGiB,
                   .critical_inodes = 100,
                   .low_inodes = 125,
                   .target_inodes = 150};

Reading reading_of(Bytes free, std::int64_t free_inodes = 1000, Duration after = Duration{0}) {
  return {100 * kGiB, free, 1000, free_inodes, {WallTime{after}, BootTime{after}}};
}

// In the order a row is read.
struct LevelCase {  // NOLINT(clang-analyzer-optin.performance.Padding)
  const char* name;
  Level before;
  Bytes free;
  std::int64_t free_inodes;
  Level level;
  bool reclaim;
  const char* rule;
};
std::ostream& operator<<(std::ostream& out, const LevelCase& c) { return out << c.name; }

class Levels : public testing::TestWithParam<LevelCase> {};

TEST_P(Levels, FollowTheMarks) {
  const auto& c = GetParam();
  const auto result =
      assess(reading_of(c.free, c.free_inodes), kMarks, {.level = c.before, .was_ok = false, .recent = {}});
  EXPECT_EQ(to_string(result.pressure.level), to_string(c.level));
  EXPECT_EQ(result.pressure.reclaim, c.reclaim);
  EXPECT_EQ(result.pressure.rule, c.rule);
  EXPECT_FALSE(result.pressure.reason.empty());
  EXPECT_EQ(result.memory.level, c.level);
  EXPECT_EQ(result.memory.was_ok, c.level == Level::kOk);
  EXPECT_EQ(result.memory.recent.size(), 1U);
}

constexpr auto kNew = Level::kUnknown;
const LevelCase kLevelCases[] = {
    {"all free", kNew, 100 * kGiB, 1000, Level::kOk, false, "enough"},
    {"equal to low is not below it", kNew, 15 * kGiB, 1000, Level::kOk, false, "enough"},
    {"one byte below low", kNew, 15 * kGiB - 1, 1000, Level::kLow, true, "free_below_low"},
    {"equal to critical is low", kNew, 5 * kGiB, 1000, Level::kLow, true, "free_below_low"},
    {"one byte below critical", kNew, 5 * kGiB - 1, 1000, Level::kCritical, true, "free_below_critical"},
    {"a sliver left", kNew, kMiB, 1000, Level::kCritical, true, "free_below_critical"},
    {"less than a sliver left", kNew, kMiB - 1, 1000, Level::kExhausted, true, "free_exhausted"},
    {"one byte left", kNew, 1, 1000, Level::kExhausted, true, "free_exhausted"},
    {"nothing left", kNew, 0, 1000, Level::kExhausted, true, "free_exhausted"},
    {"inodes equal to low", kNew, 50 * kGiB, 125, Level::kOk, false, "enough"},
    {"inodes below low", kNew, 50 * kGiB, 124, Level::kLow, true, "inodes_below_low"},
    {"inodes equal to critical", kNew, 50 * kGiB, 100, Level::kLow, true, "inodes_below_low"},
    {"inodes below critical", kNew, 50 * kGiB, 99, Level::kCritical, true, "inodes_below_critical"},
    {"no inode left", kNew, 50 * kGiB, 0, Level::kExhausted, true, "inodes_exhausted"},
    {"inodes are worse than bytes", kNew, 10 * kGiB, 99, Level::kCritical, true, "inodes_below_critical"},
    {"bytes are worse than inodes", kNew, 4 * kGiB, 124, Level::kCritical, true, "free_below_critical"},
    {"was ok: no hysteresis", Level::kOk, 20 * kGiB, 1000, Level::kOk, false, "enough"},
    {"was low: until the target", Level::kLow, 25 * kGiB - 1, 1000, Level::kLow, true, "until_target"},
    {"was low: equal to the target", Level::kLow, 25 * kGiB, 1000, Level::kOk, false, "enough"},
    {"was low: inodes until the target", Level::kLow, 50 * kGiB, 149, Level::kLow, true, "until_target"},
    {"was low: inodes at the target", Level::kLow, 50 * kGiB, 150, Level::kOk, false, "enough"},
    {"was critical: low at the mark", Level::kCritical, 5 * kGiB, 1000, Level::kLow, true, "free_below_low"},
    {"was critical: until the target", Level::kCritical, 20 * kGiB, 1000, Level::kLow, true, "until_target"},
    {"was exhausted: critical again", Level::kExhausted, kMiB, 1000, Level::kCritical, true, "free_below_critical"},
    {"was exhausted: straight to ok", Level::kExhausted, 60 * kGiB, 1000, Level::kOk, false, "enough"},
};
INSTANTIATE_TEST_SUITE_P(Pressure, Levels, testing::ValuesIn(kLevelCases));

struct BadCase {
  const char* name;
  Reading reading;
  const char* reason;
};
std::ostream& operator<<(std::ostream& out, const BadCase& c) { return out << c.name; }

class BadReadings : public testing::TestWithParam<BadCase> {};

TEST_P(BadReadings, AreUnknownAndAskForNothing) {
  PressureMemory before{.level = Level::kLow, .was_ok = true, .recent = {reading_of(10 * kGiB)}};
  const auto result = assess(GetParam().reading, kMarks, before);
  EXPECT_EQ(result.pressure.level, Level::kUnknown);
  EXPECT_FALSE(result.pressure.reclaim);
  EXPECT_EQ(result.pressure.rule, "bad_reading");
  EXPECT_EQ(result.pressure.reason, GetParam().reason);
  EXPECT_EQ(result.memory.level, Level::kLow);
  EXPECT_TRUE(result.memory.was_ok);
  EXPECT_EQ(result.memory.recent.size(), 1U);
}

const BadCase kBadCases[] = {
    {"size 0", {0, 0, 0, 0, {}}, "the filesystem reports a size of 0 bytes"},
    {"negative size", {-1, 0, 0, 0, {}}, "the filesystem reports a size of -1 bytes"},
    {"more free than there is", {100, 101, 0, 0, {}}, "the filesystem reports 101 bytes free of 100"},
    {"negative free", {100, -1, 0, 0, {}}, "the filesystem reports -1 bytes free of 100"},
    {"more inodes free than there are", {100, 50, 10, 11, {}}, "the filesystem reports 11 inodes free of 10"},
    {"negative inodes", {100, 50, 10, -1, {}}, "the filesystem reports -1 inodes free of 10"},
};
INSTANTIATE_TEST_SUITE_P(Pressure, BadReadings, testing::ValuesIn(kBadCases));

TEST(Pressure, AFailedReadingIsUnknownAndKeepsTheMemory) {
  PressureMemory before{.level = Level::kCritical, .was_ok = true, .recent = {reading_of(kGiB)}};
  const auto failed = assess(std::nullopt, kMarks, before);
  EXPECT_EQ(failed.pressure.level, Level::kUnknown);
  EXPECT_FALSE(failed.pressure.reclaim);
  EXPECT_EQ(failed.pressure.rule, "no_reading");
  EXPECT_EQ(failed.pressure.reason, "there is no current reading of the filesystem");
  EXPECT_EQ(failed.memory.level, Level::kCritical);
  EXPECT_EQ(failed.memory.recent.size(), 1U);
  // The hysteresis goes on where it was.
  const auto next = assess(reading_of(20 * kGiB, 1000, seconds{60}), kMarks, failed.memory);
  EXPECT_EQ(next.pressure.rule, "until_target");
}

TEST(Pressure, TheSliverOfASmallFilesystemIsSmall) {
  const auto left = [](Bytes total, Bytes free) { return is_exhausted(Reading{total, free, 0, 0, {}}); };
  EXPECT_TRUE(left(64 * kMiB, 0));
  EXPECT_TRUE(left(64 * kMiB, 256 * kKiB - 1));
  EXPECT_FALSE(left(64 * kMiB, 256 * kKiB));
  EXPECT_TRUE(left(100, 0));
  EXPECT_FALSE(left(100, 1));
}

TEST(Pressure, WithoutAnInodeLimitThereIsNoInodeRule) {
  auto reading = reading_of(50 * kGiB, 0);
  reading.total_inodes = 0;
  EXPECT_EQ(assess(reading, kMarks, {}).pressure.level, Level::kOk);
}

TEST(Pressure, ReasonsCarryTheNumbers) {
  const auto reason = [](Bytes free, Level before) {
    return assess(reading_of(free), kMarks, {.level = before, .was_ok = false, .recent = {}}).pressure.reason;
  };
  EXPECT_EQ(reason(50 * kGiB, kNew), "50.00 GiB of 100.00 GiB are free, the low mark is 15.00 GiB");
  EXPECT_EQ(reason(10 * kGiB, kNew), "10.00 GiB of 100.00 GiB are free, less than the low mark of 15.00 GiB");
  EXPECT_EQ(reason(20 * kGiB, Level::kLow), "20.00 GiB of 100.00 GiB are free, less than the target of 25.00 GiB");
  EXPECT_EQ(reason(0, kNew), "nothing of 100.00 GiB is free");
  EXPECT_EQ(reason(20 * kKiB, kNew), "only 20 KiB of 100.00 GiB is free");
  EXPECT_EQ(reason(5 * kGiB - 1, kNew),
            "5368709119 B of 100.00 GiB are free, less than the critical mark of 5368709120 B");
}

struct MarksCase {
  const char* name;
  DiskSettings settings;
  Bytes total;
  std::int64_t inodes;
  bool gate;
  Marks marks;
};
std::ostream& operator<<(std::ostream& out, const MarksCase& c) { return out << c.name; }

class MarksFor : public testing::TestWithParam<MarksCase> {};

TEST_P(MarksFor, FollowTheSettings) {
  const auto& c = GetParam();
  const auto marks = marks_for(c.settings, {c.total, 0, c.inodes, 0, {}}, c.gate);
  EXPECT_EQ(marks.critical, c.marks.critical);
  EXPECT_EQ(marks.low, c.marks.low);
  EXPECT_EQ(marks.target, c.marks.target);
  EXPECT_EQ(marks.critical_inodes, c.marks.critical_inodes);
  EXPECT_EQ(marks.low_inodes, c.marks.low_inodes);
  EXPECT_EQ(marks.target_inodes, c.marks.target_inodes);
}

DiskSettings with(Amount min_free, Amount below, Amount to) {
  DiskSettings settings;
  settings.min_free = min_free;
  settings.reclaim_below = below;
  settings.reclaim_to = to;
  return settings;
}

const MarksCase kMarksCases[] = {
    {"defaults on 100 GiB",
     {},
     100 * kGiB,
     6'000'000,
     true,
     {5 * kGiB, 15 * kGiB, 25 * kGiB, 250'000, 312'500, 375'000}},
    {"min_free decides on 20 GiB", {}, 20 * kGiB, 0, true, {5 * kGiB, 6400 * kMiB, 7680 * kMiB, 0, 0, 0}},
    {"twice min_free", {}, 10 * kGiB, 0, true, {5 * kGiB, 6400 * kMiB, 7680 * kMiB, 0, 0, 0}},
    {"smaller than twice min_free", {}, 6 * kGiB, 0, true, {5 * kGiB, 5376 * kMiB, 5632 * kMiB, 0, 0, 0}},
    {"smaller than min_free", {}, 4 * kGiB, 0, true, {429'496'729, 644'245'094, kGiB, 0, 0, 0}},
    {"fewer inodes than the minimum",
     {},
     100 * kGiB,
     65'536,
     true,
     {5 * kGiB, 15 * kGiB, 25 * kGiB, 3'276, 4'095, 4'914}},
    {"sizes above the total",
     with(Amount::bytes(kGiB), Amount::bytes(30 * kGiB), Amount::bytes(40 * kGiB)),
     20 * kGiB,
     0,
     true,
     {2 * kGiB, 3 * kGiB, 5 * kGiB, 0, 0, 0}},
    {"target written below low",
     with(Amount::bytes(kGiB), Amount::bytes(9 * kGiB), Amount::share(0.2)),
     20 * kGiB,
     0,
     true,
     {kGiB, 9 * kGiB, 9 * kGiB, 0, 0, 0}},
    {"does not gate, large", {}, 100 * kGiB, 1'000'000, false, {0, kGiB, kGiB + kGiB / 2, 0, 50'000, 75'000}},
    {"does not gate, small", {}, 10 * kGiB, 0, false, {0, 512 * kMiB, 768 * kMiB, 0, 0, 0}},
    {"nothing known", {}, 0, 0, true, {0, 0, 0, 0, 0, 0}},
    {"nonsense", {}, -5, -5, true, {0, 0, 0, 0, 0, 0}},
};
INSTANTIATE_TEST_SUITE_P(Pressure, MarksFor, testing::ValuesIn(kMarksCases));

// A job of the agent's env file wrote DISK_MIN_AVAILABLE=999999999: everything on a disk that is 90 % free was deleted.
TEST(Pressure, AMarkBeyondTheFilesystemIsAMistakeAndNoReasonToDelete) {
  DiskSettings settings;
  settings.min_free = Amount::bytes(999'999'999 * kKiB);
  settings.min_free_inodes = 2'000'000;
  const Reading reading{100 * kGiB, 90 * kGiB, 1'000'000, 900'000, {}};
  const auto marks = marks_for(settings, reading, true);
  EXPECT_EQ(marks.critical, 10 * kGiB);
  EXPECT_EQ(marks.low, 15 * kGiB);
  EXPECT_EQ(marks.target, 25 * kGiB);
  EXPECT_EQ(marks.critical_inodes, 50'000);
  const auto pressure = assess(reading, marks, {}).pressure;
  EXPECT_EQ(pressure.level, Level::kOk);
  EXPECT_FALSE(pressure.reclaim);
  EXPECT_EQ(pressure.reason,
            "90.00 GiB of 100.00 GiB are free, the low mark is 15.00 GiB; disk.min_free (999999999KiB) asks for more "
            "than the 100.00 GiB that it holds, so 10 %, 15 % and 25 % count as critical, low and target; "
            "disk.min_free_inodes (2000000) asks for more than the 1000000 inodes that it holds, so 5 % count as "
            "critical");
}

TEST(Pressure, EachMarkBeyondTheFilesystemIsNamedAndTheGuardStaysOn) {
  const auto settings = with(Amount::bytes(kGiB), Amount::bytes(1024 * kGiB), Amount::bytes(2048 * kGiB));
  const Reading reading{100 * kGiB, 9 * kGiB, 0, 0, {}};
  const auto marks = marks_for(settings, reading, true);
  EXPECT_EQ(
      marks.mistake,
      "disk.reclaim_below (1024GiB), disk.reclaim_to (2048GiB) ask for more than the 100.00 GiB that it holds, so 10 "
      "%, 15 % and 25 % count as critical, low and target");
  EXPECT_EQ(assess(reading, marks, {}).pressure.level, Level::kCritical);
  EXPECT_EQ(marks_for({}, reading, true).mistake, "");
  EXPECT_EQ(marks_for(settings, reading, false).mistake, "") << "one that does not gate has marks of its own";
}

}  // namespace
}  // namespace buildwarden::policy
