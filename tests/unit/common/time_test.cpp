#include "common/time.h"

#include <gtest/gtest.h>

namespace buildwarden {
namespace {

WallTime at(int year, unsigned month, unsigned day, Duration of_day) {
  const std::chrono::sys_days date{std::chrono::year{year} / static_cast<int>(month) / static_cast<int>(day)};
  return WallTime{date} + of_day;
}

constexpr Duration kMorning = std::chrono::hours{4} + std::chrono::minutes{51} + std::chrono::seconds{4};

TEST(Rfc3339, IsWrittenInUtcWithMilliseconds) {
  EXPECT_EQ(format_rfc3339(at(2026, 11, 23, kMorning + Duration{120})), "2026-11-23T04:51:04.120Z");
  EXPECT_EQ(format_rfc3339(WallTime{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_rfc3339(WallTime{Duration{-1}}), "1969-12-31T23:59:59.999Z");
}

struct Spelling {
  std::string text;
  WallTime time;
};
class Readable : public ::testing::TestWithParam<Spelling> {};

TEST_P(Readable, IsRead) {
  const auto parsed = parse_rfc3339(GetParam().text);
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(*parsed, GetParam().time);
}

const WallTime kThen = at(2026, 11, 23, kMorning);

INSTANTIATE_TEST_SUITE_P(Rfc3339, Readable,
                         ::testing::Values(Spelling{"2026-11-23T04:51:04Z", kThen},
                                           Spelling{"2026-11-23t04:51:04Z", kThen},
                                           Spelling{"2026-11-23 04:51:04Z", kThen},
                                           Spelling{"2026-11-23T04:51:04.5Z", kThen + Duration{500}},
                                           Spelling{"2026-11-23T04:51:04.123456789Z", kThen + Duration{123}},
                                           Spelling{"2026-11-23T06:51:04+02:00", kThen},
                                           Spelling{"2026-11-22T23:21:04-05:30", kThen},
                                           Spelling{"2024-02-29T00:00:00Z", at(2024, 2, 29, Duration{0})},
                                           Spelling{"0001-01-01T00:00:00Z", at(1, 1, 1, Duration{0})},
                                           Spelling{"2016-12-31T23:59:60Z", at(2017, 1, 1, Duration{0})}));

class Unreadable : public ::testing::TestWithParam<std::string> {};

TEST_P(Unreadable, IsRefused) {
  const auto parsed = parse_rfc3339(GetParam());
  ASSERT_FALSE(parsed.ok()) << format_rfc3339(*parsed);
  EXPECT_EQ(parsed.error().code(), Errc::kInvalid);
}

INSTANTIATE_TEST_SUITE_P(Rfc3339, Unreadable,
                         ::testing::Values("", "2026", "2026-11-23", "2026-11-23T04:51:04", "2026-13-01T00:00:00Z",
                                           "2025-02-29T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T04:60:00Z",
                                           "2026-11-23T04:51:61Z", "2026-11-23T04:51:04.Z", "2026-11-23T04:51:04ZZ",
                                           "2026-11-23T04:51:04+2:00", "2026-11-23T04:51:04+24:00",
                                           "-026-11-23T04:51:04Z", "2026-11-23T+4:51:04Z", "26-11-23T04:51:04Z",
                                           "2026-11-23X04:51:04Z"));

TEST(Rfc3339, WhatIsWrittenIsReadBack) {
  for (const auto time : {kThen, kThen + Duration{1}, WallTime{}, at(9999, 12, 31, Duration{86'399'999})}) {
    EXPECT_EQ(*parse_rfc3339(format_rfc3339(time)), time);
  }
}

}  // namespace
}  // namespace buildwarden
