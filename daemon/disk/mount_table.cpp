#include "daemon/disk/mount_table.h"

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

const std::vector<MountEntry>& MountTable::read(BootTime now) {
  if (is_unchanged(now)) return entries_;
  read_at_.reset();
  const auto table = read_file(path_);
  if (!table) return entries_;
  entries_ = parse_mountinfo(*table);
  read_at_ = now;
  return entries_;
}

// Asked before the table is read, so that a change in between shows at the next call.
bool MountTable::is_unchanged(BootTime now) {
  if (!notice_.open()) {
    notice_ = UniqueFd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (notice_.open() && !tells_of_changes(notice_.get())) notice_ = UniqueFd();
    return false;
  }
  pollfd change{notice_.get(), POLLPRI, 0};
  return ::poll(&change, 1, 0) == 0 && read_at_ && now >= *read_at_ && now - *read_at_ < kKept;
}

}  // namespace buildwarden::disk
