// What a deletion freed, as a reclaim measures and tells it.
#include <gtest/gtest.h>

#include "tests/unit/disk/places_fixture.h"

namespace buildwarden::disk {
namespace {

using testing::names_of;

class ReclaimerFreedTest : public ReclaimerPlacesTest {};

// The last left DOCKER_CONFIG folder was "freed -222.50 GiB and -16280525 inodes", and a false alarm.
TEST_F(ReclaimerFreedTest, TheLastThingThatARungFreesIsMeasuredWhereItWas) {
  auto& disk = disks_.add("8:2", "builds", 1 * kGiB);
  disk.reading->total_inodes = 20'000'000;
  disk.reading->free_inodes = 16'280'525;
  trash_.only_where_something_is = true;
  trash_.put("DOCKER_CONFIG /tmp/tmp.1", "8:2");
  trash_.meanwhile = [&disk] { ++disk.reading->free_inodes; };
  const auto result = ensure(true);
  ASSERT_EQ(result.steps.size(), 1U);
  EXPECT_TRUE(result.steps[0].freed.is_known());
  EXPECT_EQ(result.steps[0].freed.bytes(), 5 * kGiB);
  EXPECT_EQ(result.steps[0].freed.inodes(), 1);
  EXPECT_NE(result.steps[0].reason.find("6.00 GiB free of 25.00 GiB wanted on /builds"), std::string::npos)
      << result.steps[0].reason;
  EXPECT_EQ(journal_.count("reclaim.nothing_freed"), 0U);
  EXPECT_EQ(trash_.forgotten, 1U) << "nothing is held open any longer";
}

TEST_F(ReclaimerFreedTest, AnotherFilesystemInItsPlaceMakesWhatWasFreedUnknown) {
  auto& disk = disks_.add("8:2", "builds", 10 * kGiB);
  disk.name = "8:2/a";
  trash_.put("trash", "8:2");
  trash_.meanwhile = [&disk] {
    disk.name = "8:2/b";
    disk.reading->free = 1 * kGiB;
  };
  const auto result = ensure(true);
  ASSERT_EQ(result.steps.size(), 1U);
  EXPECT_FALSE(result.steps[0].freed.is_known());
  EXPECT_EQ(result.steps[0].freed.bytes(), 0);
  EXPECT_NE(result.steps[0].reason.find("freed nobody knows how much"), std::string::npos) << result.steps[0].reason;
  EXPECT_EQ(journal_.count("reclaim.nothing_freed"), 0U) << "unknown is not nothing";
  for (const auto& stats : reclaimer_.stats()) {
    if (stats.rung == "leftovers") EXPECT_EQ(stats.runs.at("unknown"), 1U);
  }
}

TEST_F(ReclaimerFreedTest, WhatOthersWroteMeanwhileIsToldApartAndIsNoAlarm) {
  auto& disk = disks_.add("8:2", "builds", 20 * kGiB);
  trash_.put("trash", "8:2");
  trash_.meanwhile = [&disk] { disk.reading->free -= 17 * kGiB; };
  const auto result = ensure(true);
  ASSERT_EQ(result.steps.size(), 1U);
  EXPECT_EQ(result.steps[0].freed.bytes(), 0);
  EXPECT_EQ(result.steps[0].freed.taken_bytes(), 12 * kGiB);
  EXPECT_NE(result.steps[0].reason.find("freed 0 B and 0 inodes (others took 12.00 GiB meanwhile)"), std::string::npos)
      << result.steps[0].reason;
  EXPECT_EQ(journal_.count("reclaim.nothing_freed"), 0U);
}

TEST_F(ReclaimerFreedTest, BeforeAndAfterAreOfOneFilesystem) {
  disks_.add("8:1", "data_root", 10 * kGiB);
  disks_.add("8:2", "builds", 20 * kGiB);
  images_.put("image", "8:1");
  images_.put("another", "8:1");
  images_.put("a third", "8:1");
  const auto result = ensure(true);
  EXPECT_FALSE(result.reached);
  EXPECT_EQ(result.free_before, 20 * kGiB) << "that of the builds, which are the shortest afterwards";
  EXPECT_EQ(result.free_after, 20 * kGiB);
}

TEST_F(ReclaimerFreedTest, FreedIsMeasuredAndToldWhereItIsFreed) {
  disks_.add("8:1", "data_root", 1 * kGiB);  // far shorter, and nothing there can go
  disks_.add("8:2", "builds", 20 * kGiB);
  trash_.put("trash", "8:2");
  const auto result = ensure(true);
  EXPECT_FALSE(result.reached);
  ASSERT_EQ(result.steps.size(), 1U);
  EXPECT_EQ(result.steps[0].freed.bytes(), 5 * kGiB);
  EXPECT_NE(result.steps[0].reason.find("25.00 GiB free of 25.00 GiB wanted on /builds"), std::string::npos)
      << result.steps[0].reason;
  EXPECT_NE(result.reason.find("1.00 GiB free of 25.00 GiB wanted on /data_root"), std::string::npos) << result.reason;
}

TEST_F(ReclaimerFreedTest, AnotherFilesystemThatCannotBeReadSpoilsNoMeasurement) {
  disks_.add("8:1", "data_root", 10 * kGiB);
  disks_.add("8:2", "builds", 10 * kGiB).reading.reset();
  images_.put("image", "");
  trash_.put("trash", "8:2");
  const auto result = ensure(true);
  EXPECT_FALSE(result.reached);
  EXPECT_EQ(names_of(result), (Names{"image"}));
  ASSERT_EQ(result.steps.size(), 1U);
  EXPECT_EQ(result.steps[0].freed.bytes(), 5 * kGiB);
}

}  // namespace
}  // namespace buildwarden::disk
