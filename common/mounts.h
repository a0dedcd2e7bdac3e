// The mount table as values, from the text of /proc/<pid>/mountinfo (proc_pid_mountinfo(5)).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace buildwarden {

struct MountEntry {
  std::int64_t id = 0;      // of the mount, while it is mounted; then another may get it
  std::string device;       // "8:1"
  std::string root;         // which folder of the filesystem is mounted: "/" but for bind mounts and subvolumes
  std::string mount_point;  // unescaped
  std::string type;         // "ext4"
  std::string source;       // "/dev/sda1"
  bool read_only = false;   // this mount, or the filesystem
  friend bool operator==(const MountEntry&, const MountEntry&) = default;
};

// "8:1", as /proc/self/mountinfo writes it.
std::string device_label(dev_t device);

// In the table's order. Lines that are not understood are left out: the table is asked for names, not for decisions.
std::vector<MountEntry> parse_mountinfo(std::string_view text);

// Whether an engine mounted it for one container alone: its root, its /dev/shm, its network namespace. They come and go
// with each container, and nothing that is watched or emptied lies on one.
bool is_containers_own(const MountEntry& mount);

// The id of the mount on which an open file lies, from the text of its /proc/<pid>/fdinfo/<descriptor>.
std::optional<std::int64_t> mount_id_in(std::string_view fdinfo);

// The mount that `path` (absolute, without symlinks) lies on: the deepest mount point, of several on the same point the
// last. nullptr without one. The pointer is into `mounts`.
const MountEntry* mount_of(const std::vector<MountEntry>& mounts, std::string_view path);

// The mount that a person knows the filesystem of `mount`, one of `mounts`, by: of the same device the one that shows
// the whole of it, since engines bind their folders on themselves. Else `mount` itself.
MountEntry home_of(const std::vector<MountEntry>& mounts, const MountEntry& mount);

}  // namespace buildwarden
