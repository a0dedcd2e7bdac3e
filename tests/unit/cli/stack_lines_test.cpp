#include "daemon/cli/stack_lines.h"

#include <gtest/gtest.h>

namespace buildwarden::cli {
namespace {

struct Size {
  std::int64_t value;
  const char* df;
  const char* numfmt;
};
class StackSizes : public ::testing::TestWithParam<Size> {};

// As `df -h --output=avail` and `numfmt --to=iec-i --suffix=B` of coreutils 9.1 print them.
TEST_P(StackSizes, AreThoseOfDfAndNumfmt) {
  EXPECT_EQ(df_size(GetParam().value), GetParam().df);
  EXPECT_EQ(numfmt_size(GetParam().value), GetParam().numfmt);
}

INSTANTIATE_TEST_SUITE_P(Sizes, StackSizes,
                         ::testing::Values(Size{0, "0", "0B"}, Size{1023, "1023", "1023B"},
                                           Size{1024, "1.0K", "1.0KiB"}, Size{1025, "1.1K", "1.1KiB"},
                                           Size{10'188, "10K", "10KiB"}, Size{10'241, "11K", "11KiB"},
                                           Size{1'048'575, "1.0M", "1.0MiB"}, Size{5 * kGiB, "5.0G", "5.0GiB"},
                                           Size{5 * kGiB - 1, "5.0G", "5.0GiB"}, Size{250'000, "245K", "245KiB"},
                                           Size{93 * kGiB, "93G", "93GiB"}, Size{3 * 1024 * kGiB, "3.0T", "3.0TiB"}));

TEST(StackLines, InodesComeAfterBytes) {
  DiskFinding finding;
  finding.low = true;
  finding.free = 6 * kGiB;
  finding.wanted = 5 * kGiB;
  finding.free_inodes = 249'999;
  finding.wanted_inodes = 250'000;
  const auto lines = stack_lines(finding, false);
  EXPECT_EQ(lines.out, "Disk space free: 6.0G\nInodes free: 245K\n");
  EXPECT_EQ(lines.err, "Not enough inodes free: 249999 available, cutoff is 250000 🚨\n");
  finding.free = 0;
  EXPECT_EQ(stack_lines(finding, true).err,
            "Not enough disk space free: 0B (0KB) available, cutoff is 5.0GiB (5242880KB) 🚨\n"
            "Insufficient disk space remaining after all that may go was deleted, idle builds among it.\n");
}

TEST(StackLines, TheLowOneDecidesThenTheTightest) {
  DiskFinding wide;
  wide.free = 90 * kGiB;
  DiskFinding tight;
  tight.mount = "tight";
  tight.free = 6 * kGiB;
  tight.wanted = 5 * kGiB;
  EXPECT_EQ(deciding({wide, tight}).mount, "tight");
  wide.low = true;
  wide.mount = "low";
  EXPECT_EQ(deciding({tight, wide}).mount, "low");
}

}  // namespace
}  // namespace buildwarden::cli
