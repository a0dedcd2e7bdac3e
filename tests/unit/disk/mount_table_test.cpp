// The real table of this process, and a file that is none.
#include "daemon/disk/mount_table.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/support/temp_folder.h"

namespace buildwarden::disk {
namespace {

using std::chrono::seconds;

bool lists(const std::vector<MountEntry>& mounts, const std::string& point) {
  return std::any_of(mounts.begin(), mounts.end(), [&](const auto& mount) { return mount.mount_point == point; });
}

TEST(MountTableTest, FollowsWhatIsMountedAndUnmounted) {
  const testing::TempFolder folder;
  const auto point = std::filesystem::canonical(folder.path()).string();
  const BootTime now{seconds{100}};
  MountTable table("/proc/self/mountinfo");
  EXPECT_FALSE(lists(table.read(now), point));
  EXPECT_FALSE(lists(table.read(now), point));
  ASSERT_EQ(::mount("none", point.c_str(), "tmpfs", 0, "size=64k"), 0);
  EXPECT_TRUE(lists(table.read(now), point));
  EXPECT_TRUE(lists(table.read(now), point)) << "the notice is taken, the answer stays";
  ASSERT_EQ(::umount(point.c_str()), 0);
  EXPECT_FALSE(lists(table.read(now), point));
}

TEST(MountTableTest, AFileWithoutNoticeIsReadEachTimeAndKeptWhenItIsGone) {
  const testing::TempFolder folder;
  const auto file = folder.path() + "/mountinfo";
  const BootTime now{seconds{100}};
  MountTable table(file);
  EXPECT_TRUE(table.read(now).empty());
  std::ofstream(file) << "22 1 254:0 / /one rw - ext4 /dev/vda rw\n";
  EXPECT_TRUE(lists(table.read(now), "/one"));
  std::ofstream(file) << "22 1 254:0 / /two rw - ext4 /dev/vda rw\n";
  EXPECT_TRUE(lists(table.read(now), "/two"));
  std::filesystem::remove(file);
  EXPECT_TRUE(lists(table.read(now), "/two"));
}

}  // namespace
}  // namespace buildwarden::disk
