#include "daemon/policy/freed_space.h"

#include <gtest/gtest.h>

namespace buildwarden::policy {
namespace {

using Readings = std::vector<FreeReading>;

TEST(FreedSpace, IsWhatTheSameFilesystemHasMoreThanBefore) {
  const auto freed =
      FreedSpace::between({{"8:1/a", "/", 10 * kGiB, 100}}, {{"8:2/b", "/b", 0, 0}, {"8:1/a", "/", 15 * kGiB, 103}});
  EXPECT_TRUE(freed.is_known());
  EXPECT_EQ(freed.bytes(), 5 * kGiB);
  EXPECT_EQ(freed.inodes(), 3);
  EXPECT_EQ(freed.taken_bytes(), 0);
  EXPECT_EQ(to_text(freed), "freed 5.00 GiB and 3 inodes");
}

TEST(FreedSpace, IsUnknownWhenThatFilesystemIsNotThereAfterwards) {
  for (const auto& after : {Readings{}, Readings{{"8:1/b", "/", 232 * kGiB, 0}}}) {
    const auto freed = FreedSpace::between({{"8:1/a", "/tmp", 222 * kGiB, 16'280'525}}, after);
    EXPECT_FALSE(freed.is_known());
    EXPECT_FALSE(freed.is_gain());
    EXPECT_EQ(freed.bytes(), 0);
    EXPECT_EQ(freed.inodes(), 0);
    EXPECT_EQ(to_text(freed),
              "freed nobody knows how much (the filesystem at /tmp does not answer, or is another one)");
  }
  EXPECT_FALSE(FreedSpace::between({}, {{"8:1/a", "/", kGiB, 0}}).is_known());
}

TEST(FreedSpace, IsNeverNegative) {
  const auto freed = FreedSpace::between({{"8:1/a", "/", 20 * kGiB, 100}}, {{"8:1/a", "/", 8 * kGiB, 90}});
  EXPECT_EQ(freed.bytes(), 0);
  EXPECT_EQ(freed.inodes(), 0);
  EXPECT_EQ(freed.taken_bytes(), 12 * kGiB);
  EXPECT_EQ(to_text(freed), "freed 0 B and 0 inodes (others took 12.00 GiB and 10 inodes meanwhile)");
}

TEST(FreedSpace, WhatOneFilesystemLosesIsNoLossOfAnother) {
  const auto freed =
      FreedSpace::between({{"a", "/a", kGiB, 0}, {"b", "/b", kGiB, 0}}, {{"a", "/a", 3 * kGiB, 0}, {"b", "/b", 0, 0}});
  EXPECT_EQ(freed.bytes(), 2 * kGiB);
  EXPECT_EQ(freed.taken_bytes(), kGiB);
  EXPECT_EQ(to_text(freed), "freed 2.00 GiB and 0 inodes (others took 1.00 GiB meanwhile)");
}

TEST(FreedSpace, ASumOfWhichAPartIsUnknownSaysSo) {
  auto sum = FreedSpace::between({{"a", "/a", kGiB, 0}}, {{"a", "/a", 3 * kGiB, 0}});
  sum += FreedSpace();
  EXPECT_TRUE(sum.is_known());
  sum += FreedSpace::unknown("it is gone");
  EXPECT_FALSE(sum.is_known());
  EXPECT_EQ(sum.bytes(), 2 * kGiB);
  EXPECT_EQ(to_text(sum), "freed at least 2.00 GiB and 0 inodes (it is gone)");
}

}  // namespace
}  // namespace buildwarden::policy
