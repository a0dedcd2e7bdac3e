#include "common/units.h"

#include <gtest/gtest.h>

#include <limits>

namespace buildwarden {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

struct Size {
  std::string text;
  Bytes bytes;
};
class Sizes : public ::testing::TestWithParam<Size> {};

TEST_P(Sizes, AreRead) {
  const auto parsed = parse_bytes(GetParam().text);
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(*parsed, GetParam().bytes);
}

INSTANTIATE_TEST_SUITE_P(Units, Sizes,
                         ::testing::Values(Size{"0", 0}, Size{"1048576", kMiB}, Size{"17B", 17}, Size{"1KiB", 1024},
                                           Size{"5GiB", 5 * kGiB}, Size{"1.5GiB", kGiB + kGiB / 2},
                                           Size{"20GB", 20'000'000'000}, Size{"1kB", 1000}, Size{"1KB", 1000},
                                           Size{"3MB", 3'000'000}, Size{"2TiB", 2048 * kGiB},
                                           Size{"1TB", 1'000'000'000'000}, Size{"0.5B", 1}));

class NoSizes : public ::testing::TestWithParam<std::string> {};

TEST_P(NoSizes, AreRefusedWithAHint) {
  const auto parsed = parse_bytes(GetParam());
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().code(), Errc::kInvalid);
  EXPECT_NE(parsed.error().message().find(GetParam()), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Units, NoSizes,
                         ::testing::Values("", "GiB", "-1", "-5GiB", "5 GiB", " 5GiB", "5GiB ", "5gib", "5Gib", "5GiBx",
                                           "1e3", "0x10", "inf", "nan", "5,5GiB", "1..5GiB", "99999999999999999999",
                                           "9007199254740992GiB", "+5"));

struct Time {
  std::string text;
  Duration duration;
};
class Durations : public ::testing::TestWithParam<Time> {};

TEST_P(Durations, AreRead) {
  const auto parsed = parse_duration(GetParam().text);
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(*parsed, GetParam().duration);
}

INSTANTIATE_TEST_SUITE_P(Units, Durations,
                         ::testing::Values(Time{"0", Duration{0}}, Time{"0s", Duration{0}}, Time{"90s", seconds{90}},
                                           Time{"4h", hours{4}}, Time{"7d", hours{168}}, Time{"2w", hours{336}},
                                           Time{"1h30m", minutes{90}}, Time{"500ms", Duration{500}},
                                           Time{"1.5h", minutes{90}}, Time{"1m500ms", Duration{60'500}},
                                           Time{"36500d", hours{876'000}}));

class NoDurations : public ::testing::TestWithParam<std::string> {};

TEST_P(NoDurations, AreRefused) { EXPECT_FALSE(parse_duration(GetParam()).ok()); }

INSTANTIATE_TEST_SUITE_P(Units, NoDurations,
                         ::testing::Values("", "5", "1h30", "h", "-4h", "4 h", "4H", "4h ", "1y", "36501d", "1e3s",
                                           "inf", "99999999999999999999w"));

TEST(Amounts, AreSharesOrSizes) {
  EXPECT_EQ(*parse_amount("15%"), Amount::share(0.15));
  EXPECT_EQ(*parse_amount("0%"), Amount::share(0));
  EXPECT_EQ(*parse_amount("100%"), Amount::share(1));
  EXPECT_EQ(*parse_amount("5GiB"), Amount::bytes(5 * kGiB));
  for (const std::string wrong : {"", "%", "101%", "-1%", "15 %", "15%%", "15%x", "lots"}) {
    EXPECT_FALSE(parse_amount(wrong).ok()) << wrong;
  }
}

TEST(Amounts, AreTakenOfAWhole) {
  EXPECT_EQ(Amount::share(0.25).of(1000), 250);
  EXPECT_EQ(Amount::share(0.25).of(-1000), 0);
  EXPECT_EQ(Amount::bytes(5).of(1), 5);
}

TEST(Format, SizesForPeople) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(17), "17 B");
  EXPECT_EQ(format_bytes(-3 * kKiB), "-3 KiB");
  EXPECT_EQ(format_bytes(812 * kMiB), "812.0 MiB");
  EXPECT_EQ(format_bytes(5 * kGiB), "5.00 GiB");
  EXPECT_EQ(format_bytes(3 * 1024 * kGiB / 2), "1.50 TiB");
  EXPECT_EQ(format_bytes(std::numeric_limits<Bytes>::min()), "-8388608.00 TiB");
}

TEST(Format, ShortDurationsHaveTwoUnitsAtMost) {
  using std::chrono::milliseconds;
  EXPECT_EQ(short_duration(seconds{88}), "1m 28s");
  EXPECT_EQ(short_duration(milliseconds{412}), "412 ms");
  EXPECT_EQ(short_duration(milliseconds{1589}), "1s 589ms");
  EXPECT_EQ(short_duration(hours{4}), "4h");
  EXPECT_EQ(short_duration(hours{49} + seconds{59}), "2d 1h");
  EXPECT_EQ(short_duration(hours{48} + minutes{59}), "2d");
  EXPECT_EQ(short_duration(-minutes{90}), "-1h 30m");
  EXPECT_EQ(short_duration(Duration{0}), "0s");
}

TEST(Format, DurationsAndAmountsAreReadBackTheSame) {
  for (const auto duration : {Duration{0}, Duration{1}, Duration{1500}, Duration{90'000}, Duration{hours{100}},
                              Duration{hours{24 * 400}} + minutes{3} + Duration{7}}) {
    EXPECT_EQ(*parse_duration(format_duration(duration)), duration) << format_duration(duration);
  }
  for (const auto& amount : {Amount::share(0.15), Amount::share(1), Amount::bytes(5 * kGiB), Amount::bytes(1000),
                             Amount::bytes(0), Amount::bytes(3 * kMiB), Amount::bytes(1536)}) {
    EXPECT_EQ(*parse_amount(format_amount(amount)), amount) << format_amount(amount);
  }
  EXPECT_EQ(format_duration(seconds{90}), "1m30s");
  EXPECT_EQ(format_duration(-minutes{90}), "-1h30m");
  EXPECT_EQ(format_duration(hours{336}), "14d");
  EXPECT_EQ(format_amount(Amount::share(0.15)), "15%");
}

}  // namespace
}  // namespace buildwarden
