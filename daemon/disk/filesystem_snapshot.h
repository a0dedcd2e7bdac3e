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
#include "daemon/disk/mount_table.h"

namespace buildwarden::disk {

// Which filesystem: the device number alone comes again when another disk is mounted, the filesystem's own id tells
// them apart.
struct FilesystemKey {
  dev_t device = 0;
  std::uint64_t fsid = 0;
  friend auto operator<=>(const FilesystemKey&, const FilesystemKey&) = default;
};

// One filesystem at one moment: device, mount and numbers belong together, whatever is mounted meanwhile. Only a
// FilesystemReader makes one; a test derives from it.
struct FilesystemSnapshot {
  std::string resolved;  // the path without symlinks
  FilesystemKey key;
  std::optional<MountEntry> home;  // see home_of(); nothing where the table does not show the mount (in a chroot)
  Bytes total = 0;
  Bytes free = 0;                 // f_bavail
  Bytes free_to_root = 0;         // f_bfree
  std::int64_t total_inodes = 0;  // 0: no inode limit
  std::int64_t free_inodes = 0;   // f_favail

 protected:
  FilesystemSnapshot() = default;
  friend class FilesystemReader;
};

// May block for ever (a hung mount), so it runs on a worker's thread; must be safe to call from any thread. kNotFound:
// there is no such folder. kConflict: the snapshot is void, since mounts came and went all the while. Nothing is ever
// created.
using ReadFilesystem = std::function<Result<FilesystemSnapshot>(const std::string& path)>;

// The machine's: the path is looked up once, by open(2), and all else is asked of that descriptor, the mount by its id.
// It is closed before the answer: a held one would block umount and go on measuring the old filesystem after a mount
// over it. Copies share the table.
class FilesystemReader {
 public:
  explicit FilesystemReader(std::shared_ptr<MountTable> table) : table_(std::move(table)) {}
  Result<FilesystemSnapshot> operator()(const std::string& path) const;

 private:
  std::shared_ptr<MountTable> table_;
};

// "8:1", as /proc/self/mountinfo writes it.
std::string device_label(dev_t device);

}  // namespace buildwarden::disk
