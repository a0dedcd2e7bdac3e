#include "common/mounts.h"

#include <gtest/gtest.h>

namespace buildwarden {
namespace {

// As a host shows it on which an engine has bound its data root on itself.
constexpr std::string_view kTable =
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n"
    "40 22 7:1 / /mnt/with\\040blank rw,relatime - ext4 /dev/loop1 rw\n"
    "41 40 7:1 /docker /mnt/with\\040blank/docker rw,relatime - ext4 /dev/loop1 rw\n"
    "42 22 7:2 / /mnt/over rw - ext4 /dev/loop2 rw\n"
    "43 22 7:3 / /mnt/over rw - ext4 /dev/loop3 rw\n"
    "44 22 0:50 /sub /mnt/part rw - btrfs /dev/sdb rw\n"
    "not a line of the table\n";

TEST(Mounts, ReadsDeviceRootAndUnescapedPoint) {
  const auto mounts = parse_mountinfo(kTable);
  ASSERT_EQ(mounts.size(), 6U);
  EXPECT_EQ(mounts[2].device, "7:1");
  EXPECT_EQ(mounts[2].root, "/docker");
  EXPECT_EQ(mounts[2].mount_point, "/mnt/with blank/docker");
  EXPECT_EQ(mounts[2].type, "ext4");
  EXPECT_EQ(mounts[2].source, "/dev/loop1");
}

TEST(Mounts, TheDeepestAndOfSeveralTheLastOneHoldsAPath) {
  const auto mounts = parse_mountinfo(kTable);
  const auto device_of = [&](std::string_view path) {
    const auto* mount = mount_of(mounts, path);
    return mount == nullptr ? std::string("none") : mount->device;
  };
  EXPECT_EQ(device_of("/mnt/with blank/docker/overlay2"), "7:1");
  EXPECT_EQ(device_of("/mnt/with blankets"), "254:0") << "a name that only begins alike";
  EXPECT_EQ(device_of("/mnt/over/x"), "7:3") << "a mount over a mount hides it";
  EXPECT_EQ(device_of("relative"), "none");
}

TEST(Mounts, PeopleKnowAFilesystemByTheMountThatShowsTheWholeOfIt) {
  const auto mounts = parse_mountinfo(kTable);
  const auto home = [&](std::string_view path) {
    const auto* mount = mount_of(mounts, path);
    return mount == nullptr ? std::string("none") : home_of(mounts, *mount).mount_point;
  };
  EXPECT_EQ(home("/mnt/with blank/docker"), "/mnt/with blank");
  EXPECT_EQ(home("/mnt/part/x"), "/mnt/part") << "nothing shows the whole of it";
  EXPECT_EQ(home("/etc"), "/");
}

TEST(Mounts, AnOpenFileNamesItsMountById) {
  EXPECT_EQ(mount_id_in("pos:\t0\nflags:\t012000000\nmnt_id:\t41\nino:\t2\n"), 41);
  EXPECT_EQ(parse_mountinfo(kTable)[2].id, 41);
  EXPECT_EQ(mount_id_in("pos:\t0\nflags:\t02\n"), std::nullopt);
  EXPECT_EQ(mount_id_in("mnt_id:\tmany\n"), std::nullopt);
}

TEST(Mounts, AContainersOwnMountsAreItsRootItsSharedMemoryAndItsNetwork) {
  const auto is_own = [](std::string_view point, std::string_view type) {
    MountEntry mount;
    mount.mount_point = point;
    mount.type = type;
    return is_containers_own(mount);
  };
  EXPECT_TRUE(is_own("/var/lib/docker/overlay2/f00/merged", "overlay"));
  EXPECT_TRUE(is_own("/run/containerd/io.containerd.runtime.v2.task/moby/f00/rootfs", "overlay"));
  EXPECT_TRUE(is_own("/var/lib/docker/containers/f00/mounts/shm", "tmpfs"));
  EXPECT_TRUE(is_own("/run/docker/netns/f00", "nsfs"));
  EXPECT_FALSE(is_own("/var/lib/docker", "overlay"));
  EXPECT_FALSE(is_own("/srv/merged", "ext4"));
  EXPECT_FALSE(is_own("/var/lib/buildkite-agent/builds", "tmpfs"));
}

}  // namespace
}  // namespace buildwarden
