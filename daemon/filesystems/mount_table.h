// The host's mount table, read again only when it may have changed: what a calm host's samples would cost otherwise.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/mounts.h"
#include "common/time.h"
#include "common/unique_fd.h"

namespace buildwarden::disk {

// The same pointer is the same table, without any change meanwhile. Never null.
using Mounts = std::shared_ptr<const std::vector<MountEntry>>;

// The kernel makes the open /proc/<pid>/mountinfo "exceptional" at each change of the table (proc(5)); a filesystem
// that turns read-only by an error does not, so it is read once a minute all the same. Any other file is read each
// time. Safe from any thread.
class MountTable {
 public:
  explicit MountTable(std::string path) : path_(std::move(path)) {}

  // What the table says now; what it said last when it cannot be read, as a table of its own. Microseconds when nothing
  // has changed.
  Mounts read(BootTime now);

 private:
  [[nodiscard]] bool is_unchanged(BootTime now);

  std::string path_;
  std::mutex mutex_;
  UniqueFd notice_;  // of procfs, so it holds no filesystem
  std::optional<BootTime> read_at_;
  Mounts mounts_ = std::make_shared<const std::vector<MountEntry>>();
};

}  // namespace buildwarden::disk
