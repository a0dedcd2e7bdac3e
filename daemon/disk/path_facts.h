// What the kernel says of one watched path. No descriptor is kept: a held one would block umount and go on measuring
// the old filesystem after a mount over it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "common/result.h"
#include "common/units.h"

namespace buildwarden::disk {

// Which filesystem: the device number alone comes again when another disk is mounted, the filesystem's own id tells
// them apart.
struct FilesystemKey {
  dev_t device = 0;
  std::uint64_t fsid = 0;
  friend auto operator<=>(const FilesystemKey&, const FilesystemKey&) = default;
};

struct PathFacts {
  std::string resolved;  // the path without symlinks
  FilesystemKey key;
  Bytes total = 0;
  Bytes free = 0;                 // f_bavail
  Bytes free_to_root = 0;         // f_bfree
  std::int64_t total_inodes = 0;  // 0: no inode limit
  std::int64_t free_inodes = 0;   // f_favail
};

// May block for ever (a hung mount), so it runs on a lane's thread; must be safe to call from any thread. kNotFound:
// there is no such path. Nothing is ever created.
using StatPath = std::function<Result<PathFacts>(const std::string& path)>;

// realpath(3), stat(2) and statvfs(3).
Result<PathFacts> stat_path(const std::string& path);

// "8:1", as /proc/self/mountinfo writes it.
std::string device_label(dev_t device);

}  // namespace buildwarden::disk
