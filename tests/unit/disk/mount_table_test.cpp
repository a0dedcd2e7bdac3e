// The real table of this process, and a file that is none.
#include "daemon/filesystems/mount_table.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/support/temp_folder.h"

namespace buildwarden::disk {
namespace {

using std::chrono::seconds;

bool lists(const Mounts& mounts, const std::string& point) {
  return std::any_of(mounts->begin(), mounts->end(), [&](const auto& mount) { return mount.mount_point == point; });
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
  const auto mounted = table.read(now);
  EXPECT_TRUE(lists(mounted, point)) << "the notice is taken, the answer stays";
  EXPECT_EQ(table.read(now), mounted) << "the same table";
  ASSERT_EQ(::umount(point.c_str()), 0);
  EXPECT_FALSE(lists(table.read(now), point));
}

TEST(MountTableTest, AFileWithoutNoticeIsReadEachTimeAndKeptWhenItIsGone) {
  const testing::TempFolder folder;
  const auto file = folder.path() + "/mountinfo";
  const BootTime now{seconds{100}};
  MountTable table(file);
  EXPECT_TRUE(table.read(now)->empty());
  std::ofstream(file) << "22 1 254:0 / /one rw - ext4 /dev/vda rw\n";
  const auto one = table.read(now);
  EXPECT_TRUE(lists(one, "/one"));
  EXPECT_EQ(table.read(now), one) << "the same text is the same table";
  std::ofstream(file) << "22 1 254:0 / /two rw - ext4 /dev/vda rw\n";
  EXPECT_TRUE(lists(table.read(now), "/two"));
  const auto two = table.read(now);
  std::filesystem::remove(file);
  const auto kept = table.read(now);
  EXPECT_TRUE(lists(kept, "/two"));
  EXPECT_NE(kept, two) << "nobody knows whether it changed";
}

}  // namespace
}  // namespace buildwarden::disk
