#include "daemon/filesystems/path_stat.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <string_view>

#include "common/atomic_file.h"
#include "common/clock.h"
#include "common/format.h"
#include "common/resolved_folder.h"
#include "common/unique_fd.h"

namespace buildwarden::disk {
namespace {

constexpr int kTries = 4;  // a try takes microseconds: only an endless stream of mounts spoils all of them

Result<std::string> path_of(int descriptor) {
  std::array<char, PATH_MAX> text{};
  const auto link = format("/proc/self/fd/{}", descriptor);
  const auto size = ::readlink(link.c_str(), text.data(), text.size());
  if (size < 0) return Error::from_errno(errno, format("read {}", link));
  return std::string(text.data(), static_cast<std::size_t>(size));
}

// statx(2) says it from Linux 5.8 on, proc_pid_fdinfo(5) before that as well, at five times the price. No other mount
// gets that id while the descriptor is open.
Result<std::int64_t> mount_id_of(int descriptor) {
  struct statx info{};
  const bool told = ::statx(descriptor, "", AT_EMPTY_PATH, STATX_MNT_ID, &info) == 0;
  if (told && (info.stx_mask & STATX_MNT_ID) != 0) return static_cast<std::int64_t>(info.stx_mnt_id);
  const auto path = format("/proc/self/fdinfo/{}", descriptor);
  const auto text = read_file(path);
  if (!text) return text.error();
  const auto id = mount_id_in(*text);
  if (!id) return Error(Errc::kProtocol, format("{} names no mount", path));
  return *id;
}

void fill_in(PathStat& snapshot, const struct statvfs& space) {
  const auto block = static_cast<Bytes>(space.f_frsize);
  snapshot.key.fsid = space.f_fsid;
  snapshot.total = static_cast<Bytes>(space.f_blocks) * block;
  snapshot.free = static_cast<Bytes>(space.f_bavail) * block;
  snapshot.free_to_root = static_cast<Bytes>(space.f_bfree) * block;
  snapshot.total_inodes = static_cast<std::int64_t>(space.f_files);
  snapshot.free_inodes = static_cast<std::int64_t>(space.f_favail);
}

// O_PATH asks the filesystem for nothing; with O_DIRECTORY an automount is mounted first, as it is for everybody who
// works there. ELOOP: a link is on the way.
UniqueFd open_without_links(const std::string& path) {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS;
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
}

// Through no link but those that root made where nobody else may write: a job would choose which filesystem gates jobs,
// and for which the instance is terminated.
Result<UniqueFd> open_measured(const std::string& path) {
  auto folder = open_without_links(path);
  if (folder.open()) return folder;
  if (errno != ELOOP) return Error::from_errno(errno, format("open {}", path));
  std::string real;
  {
    auto found = resolve_folder(path);
    if (!found) return std::move(found).error();
    real = std::move(found->path);
  }
  folder = open_without_links(real);
  if (!folder.open()) return Error::from_errno(errno, format("open {}", real));
  return folder;
}

// All but the mount, whose id is the answer.
Result<std::int64_t> look_at(const std::string& path, PathStat& snapshot) {
  const auto opened = open_measured(path);
  if (!opened) return opened.error();
  const auto& folder = *opened;
  struct stat info{};
  if (::fstat(folder.get(), &info) != 0) return Error::from_errno(errno, format("stat {}", path));
  struct statvfs space{};
  if (::fstatvfs(folder.get(), &space) != 0) return Error::from_errno(errno, format("statvfs {}", path));
  auto resolved = path_of(folder.get());
  if (!resolved) return resolved.error();
  snapshot.resolved = *std::move(resolved);
  snapshot.key.device = info.st_dev;
  fill_in(snapshot, space);
  return mount_id_of(folder.get());
}

// A subvolume of btrfs has a device number of its own, which the table does not know.
bool shows(const MountEntry& mount, dev_t device) {
  return mount.device == device_label(device) || mount.type == "btrfs";
}

std::optional<MountEntry> home_in(const std::vector<MountEntry>& mounts, std::int64_t id, dev_t device) {
  const auto mount = std::find_if(mounts.begin(), mounts.end(), [id](const auto& one) { return one.id == id; });
  if (mount == mounts.end() || !shows(*mount, device)) return std::nullopt;
  return home_of(mounts, *mount);
}

}  // namespace

// An id is given anew once its mount is gone, so it is looked up in a table that was true before the path was opened
// and still is afterwards. The table is read while nothing is held: that takes milliseconds where mounts are many.
Result<PathStat> PathStatReader::operator()(const std::string& path) const {
  const SystemClock clock;
  for (int tried = 0; tried < kTries; ++tried) {
    const auto before = table_->read(clock.now().boot);
    PathStat snapshot;
    const auto mount = look_at(path, snapshot);
    if (!mount) return mount.error();
    if (table_->read(clock.now().boot) != before) continue;
    snapshot.home = home_in(*before, *mount, snapshot.key.device);
    return snapshot;
  }
  return Error(Errc::kConflict, format("mounts came and went all the while that {} was read", path));
}

}  // namespace buildwarden::disk
