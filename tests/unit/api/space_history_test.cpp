#include "daemon/api/space_history.h"

#include <gtest/gtest.h>

namespace buildwarden::api {
namespace {

using namespace std::chrono_literals;

ports::FilesystemSnapshot disk(const std::string& mount, const std::string& device, BootTime at, Bytes free) {
  ports::FilesystemSnapshot made;
  made.mount = mount;
  made.device = device;
  policy::Reading reading;
  reading.free = free;
  reading.at.boot = at;
  made.reading = reading;
  return made;
}

ports::DiskView view(std::vector<ports::FilesystemSnapshot> disks) {
  ports::DiskView made;
  made.filesystems = std::move(disks);
  return made;
}

TEST(SpaceHistory, KeepsTheLastHourOfEachFilesystem) {
  SpaceHistory history;
  for (int turn = 0; turn < 220; ++turn) {
    const BootTime at{turn * SpaceHistory::kEvery};
    history.sample(view({disk("/", "8:1", at, turn), disk("/data", "8:2", at, 1000 - turn)}));
  }
  const auto root = history.of(disk("/", "8:1", {}, 0));
  ASSERT_EQ(root.size(), SpaceHistory::kMostSamples);
  EXPECT_EQ(root.front().free, 20);
  EXPECT_EQ(root.back().free, 219);
  EXPECT_EQ(root.back().at - root.front().at, 1h - SpaceHistory::kEvery);
  EXPECT_EQ(history.of(disk("/data", "8:2", {}, 0)).back().free, 781);
}

TEST(SpaceHistory, AReadingCountsOnceAndAFailedOneNot) {
  SpaceHistory history;
  auto root = disk("/", "8:1", BootTime{1s}, 10);
  history.sample(view({root}));
  history.sample(view({root}));
  root.reading->at.boot = BootTime{19s};
  root.error = "statvfs: no answer";
  history.sample(view({root}));
  root.error.clear();
  root.reading.reset();
  history.sample(view({root}));
  EXPECT_EQ(history.of(root).size(), 1U);
}

TEST(SpaceHistory, AnotherFilesystemAtTheSamePlaceBeginsAnew) {
  SpaceHistory history;
  history.sample(view({disk("/data", "8:2", BootTime{1s}, 10)}));
  const auto mounted_over = disk("/data", "8:3", BootTime{2s}, 20);
  EXPECT_TRUE(history.of(mounted_over).empty());
  history.sample(view({mounted_over}));
  ASSERT_EQ(history.of(mounted_over).size(), 1U);
  EXPECT_EQ(history.of(mounted_over).front().free, 20);
  EXPECT_TRUE(history.of(disk("/data", "8:2", {}, 0)).empty()) << "what is not watched any more is forgotten";
}

TEST(SpaceHistory, IsBoundedHoweverManyFilesystemsThereAre) {
  SpaceHistory history;
  std::vector<ports::FilesystemSnapshot> many;
  for (int i = 0; i < 100; ++i) many.push_back(disk("/mnt/" + std::to_string(i), "7:1", BootTime{1s}, i));
  history.sample(view(many));
  EXPECT_EQ(history.of(many[63]).size(), 1U);
  EXPECT_TRUE(history.of(many[64]).empty());
}

}  // namespace
}  // namespace buildwarden::api
