// What the kernel says of the filesystem that a path leads to.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/mounts.h"
#include "common/result.h"
#include "common/units.h"
#include "daemon/filesystems/mount_table.h"
#include "daemon/ports/filesystems.h"

namespace buildwarden::disk {

// One filesystem at one moment: device, mount and numbers belong together, whatever is mounted meanwhile. Only a
// PathStatReader makes one; a test derives from it.
struct PathStat {
  std::string resolved;  // the path without symlinks
  ports::FilesystemKey key;
  std::optional<MountEntry> home;  // see home_of(); nothing where the table does not show the mount (in a chroot)
  Bytes total = 0;
  Bytes free = 0;                 // f_bavail
  Bytes free_to_root = 0;         // f_bfree
  std::int64_t total_inodes = 0;  // 0: no inode limit
  std::int64_t free_inodes = 0;   // f_favail

 protected:
  PathStat() = default;
  friend class PathStatReader;
};

// May block for ever (a hung mount), so it runs on a worker's thread; must be safe to call from any thread. kNotFound:
// there is no such folder. kConflict: the reading is void, since mounts came and went all the while. Nothing is ever
// created.
using ReadPathStat = std::function<Result<PathStat>(const std::string& path)>;

// The machine's: the path is looked up once, by open(2), and all else is asked of that descriptor, the mount by its id.
// It is closed before the answer: a held one would block umount and go on measuring the old filesystem after a mount
// over it. Copies share the table.
class PathStatReader {
 public:
  explicit PathStatReader(std::shared_ptr<MountTable> table) : table_(std::move(table)) {}
  Result<PathStat> operator()(const std::string& path) const;

 private:
  std::shared_ptr<MountTable> table_;
};

}  // namespace buildwarden::disk
