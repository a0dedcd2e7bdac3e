#include "daemon/builders/activity.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "daemon/builders/volumes.h"
#include "tests/support/patience.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/builders/idle_process.h"

namespace buildwarden::builders {
namespace {

using buildwarden::testing::IdleProcess;

bool changes(pid_t pid) {
  const auto before = activity_of(pid, Reach::kDescendants);
  const auto end = std::chrono::steady_clock::now() + buildwarden::testing::kTestPatience;
  while (std::chrono::steady_clock::now() < end) {
    const auto now = activity_of(pid, Reach::kDescendants);
    if (!before || !now || !(*now == *before)) return true;
  }
  return false;
}

TEST(ActivityOf, AStoppedProcessDoesNothing) {
  const IdleProcess process("while :; do :; done");
  process.stop();
  const auto before = activity_of(process.pid(), Reach::kProcess);
  for (int i = 0; i < 100; ++i) {
    const auto after = activity_of(process.pid(), Reach::kProcess);
    ASSERT_TRUE(before && after);
    EXPECT_EQ(*before, *after);
    EXPECT_FALSE(after->waits_for_disk);
    EXPECT_TRUE(after->stopped);
  }
  EXPECT_TRUE(is_stopped(process.pid()));
  EXPECT_GT(before->threads, 0U);
}

TEST(ActivityOf, SeesWorkAlsoOfAChild) {
  const IdleProcess busy("while :; do :; done");
  EXPECT_TRUE(changes(busy.pid()));
  // It ends by itself, and holds nothing of ours open: nobody stops it when its parent is killed.
  const IdleProcess parent(
      "sh -c 'i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done' < /dev/null > /dev/null 2>&1 & wait");
  EXPECT_TRUE(changes(parent.pid()));
}

// As docker-init above a buildkitd, and the other way round what a build runs below it.
TEST(ActivityOf, OfOneProcessTellsNothingOfItsChildren) {
  const IdleProcess parent(
      "sh -c 'i=0; while [ $i -lt 3000000 ]; do i=$((i+1)); done' < /dev/null > /dev/null 2>&1 & wait");
  const auto descendants_run = [&parent] {
    const auto all = activity_of(parent.pid(), Reach::kDescendants);
    return all && all->threads > 1;
  };
  ASSERT_TRUE(buildwarden::testing::eventually(descendants_run));
  const auto only_the_child_runs = [&parent] {
    const auto whole = activity_of(parent.pid(), Reach::kDescendants);
    const auto before = activity_of(parent.pid(), Reach::kProcess);
    const auto child_runs = [&] {
      const auto now = activity_of(parent.pid(), Reach::kDescendants);
      return whole && now && now->cpu_nanoseconds > whole->cpu_nanoseconds;
    };
    if (!buildwarden::testing::eventually(child_runs)) return false;
    const auto after = activity_of(parent.pid(), Reach::kProcess);
    return before && after && *before == *after && !after->stopped;
  };
  EXPECT_TRUE(buildwarden::testing::eventually(only_the_child_runs)) << "the shell has begun to wait";
  EXPECT_FALSE(is_stopped(parent.pid()));
}

TEST(ActivityOf, IsUnknownForAProcessThatIsGone) {
  pid_t gone = 0;
  {
    const IdleProcess process;
    gone = process.pid();
  }
  EXPECT_FALSE(activity_of(gone, Reach::kProcess));
  EXPECT_FALSE(is_stopped(gone));
}

TEST(SeesOtherFolder, ComparesWhatIsThere) {
  const buildwarden::testing::TempFolder folder;
  const auto one = folder.path() + "/one";
  const auto two = folder.path() + "/two";
  std::filesystem::create_directories(one);
  std::filesystem::create_directories(two);
  const auto self = ::getpid();
  EXPECT_EQ(*sees_other_folder(self, one, one), false);
  EXPECT_EQ(*sees_other_folder(self, one, two), true);
  EXPECT_EQ(*sees_other_folder(self, one, folder.path() + "/gone"), true);
  EXPECT_FALSE(sees_other_folder(self, folder.path() + "/gone", one)) << "unknown";
}

TEST(VolumesFile, IsThereOnlyWhereItIsNeeded) {
  const buildwarden::testing::TempFolder folder;
  const auto file = folder.path() + "/s3.volume";
  EXPECT_EQ(read_volumes(file)->in_use, 1);
  ASSERT_TRUE(write_volumes(file, {.in_use = 1, .newest = 1}));
  EXPECT_FALSE(std::filesystem::exists(file));
  ASSERT_TRUE(write_volumes(file, {.in_use = 1, .newest = 3}));
  EXPECT_EQ(read_volumes(file)->in_use, 1);
  EXPECT_EQ(read_volumes(file)->newest, 3);
}

}  // namespace
}  // namespace buildwarden::builders
