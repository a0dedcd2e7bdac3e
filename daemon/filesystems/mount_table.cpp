#include "daemon/filesystems/mount_table.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/vfs.h>

#include <chrono>

#include "common/atomic_file.h"

namespace buildwarden::disk {
namespace {

constexpr Duration kKept = std::chrono::minutes{1};

bool tells_of_changes(int file) {
  struct statfs what{};
  return ::fstatfs(file, &what) == 0 && what.f_type == PROC_SUPER_MAGIC;
}

}  // namespace

Mounts MountTable::read(BootTime now) {
  const std::lock_guard lock(mutex_);
  if (is_unchanged(now)) return mounts_;
  read_at_.reset();
  const auto table = read_file(path_);
  auto mounts = table ? parse_mountinfo(*table) : *mounts_;
  if (table) read_at_ = now;
  // Without a notice the text alone tells whether it changed. With one, the same text may be of other mounts.
  const bool same = table && !notice_.open() && mounts == *mounts_;
  if (!same) mounts_ = std::make_shared<const std::vector<MountEntry>>(std::move(mounts));
  return mounts_;
}

// Asked before the table is read, so that a change in between shows at the next call.
bool MountTable::is_unchanged(BootTime now) {
  if (!notice_.open()) {
    notice_ = UniqueFd(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (notice_.open() && !tells_of_changes(notice_.get())) notice_ = UniqueFd();
    return false;
  }
  pollfd change{notice_.get(), POLLPRI, 0};
  return ::poll(&change, 1, 0) == 0 && read_at_ && now >= *read_at_ && now - *read_at_ < kKept;
}

}  // namespace buildwarden::disk
