#include "daemon/ballast/ballast_home.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/format.h"
#include "common/resolved_folder.h"

namespace buildwarden::disk {
namespace {

constexpr const char* kHidden = ".buildwarden";
constexpr const char* kMark = "user.buildwarden.ballast";

bool lies_on(int fd, const ports::FilesystemKey& key) {
  struct stat info{};
  struct statvfs space{};
  if (::fstat(fd, &info) != 0 || ::fstatvfs(fd, &space) != 0) return false;
  return info.st_dev == key.device && space.f_fsid == key.fsid;
}

Bytes size_of(const struct stat& info) {
  return std::min(static_cast<Bytes>(info.st_size), static_cast<Bytes>(info.st_blocks) * kStatBlock);
}

// Owned by us and writable by nobody else, so what was looked at in it stays what it was.
bool is_ours_alone(int folder) {
  struct stat info{};
  return ::fstat(folder, &info) == 0 && info.st_uid == ::geteuid() && (info.st_mode & 0022U) == 0;
}

Result<UniqueFd> open_hidden(int shared, const std::string& path, bool make) {
  if (make && ::mkdirat(shared, kHidden, 0700) != 0 && errno != EEXIST) {
    return Error::from_errno(errno, format("make {}", path));
  }
  UniqueFd hidden(::openat(shared, kHidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (hidden.get() < 0 && (errno == ENOTDIR || errno == ELOOP)) {
    return Error(Errc::kConflict, format("{} is not a folder of ours and is left as it is", path));
  }
  if (hidden.get() < 0) return Error::from_errno(errno, format("open {}", path));
  return hidden;
}

Result<void> open_ballast(BallastHome& home) {
  const Error foreign(Errc::kConflict, format("{} is not ours and is left as it is", home.path));
  // For reading: a device or a pipe must not notice.
  UniqueFd file(::openat(home.folder.get(), kBallastName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0 && errno == ENOENT) return {};
  if (file.get() < 0 && errno == ELOOP) return foreign;
  if (file.get() < 0) return Error::from_errno(errno, format("open {}", home.path));
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return Error::from_errno(errno, format("look at {}", home.path));
  const bool plain = S_ISREG(info.st_mode) && info.st_nlink == 1 && info.st_uid == ::geteuid();
  if (!plain || ::fgetxattr(file.get(), kMark, nullptr, 0) < 0) return foreign;
  home.file = UniqueFd(::openat(home.folder.get(), kBallastName, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
  if (home.file.get() < 0) return Error::from_errno(errno, format("open {}", home.path));
  home.size = size_of(info);
  return {};
}

}  // namespace

Result<std::optional<BallastHome>> open_ballast_home(const BallastPlace& place, const BallastWork& work) {
  auto path = place.folder;
  auto found = resolve_folder(path);
  if (!found && (found.error().code() == Errc::kNotFound || found.error().code() == Errc::kInvalid)) {
    return std::optional<BallastHome>{};
  }
  if (!found) return std::move(found).error();
  auto folder = std::move(found->folder);
  if (!lies_on(folder.get(), work.key)) return std::optional<BallastHome>{};
  BallastHome home;
  if (place.shared) {
    path += format("{}{}", path.ends_with('/') ? "" : "/", kHidden);
    auto hidden = open_hidden(folder.get(), path, work.act == policy::BallastAct::kMake);
    if (!hidden && hidden.error().code() == Errc::kNotFound) return std::optional<BallastHome>{};
    if (!hidden) return std::move(hidden).error();
    home.shared = std::exchange(folder, *std::move(hidden));
  }
  if (!is_ours_alone(folder.get()) || !lies_on(folder.get(), work.key)) {
    return Error(Errc::kConflict, format("{} is not a folder of ours alone and is left as it is", path));
  }
  home.path = format("{}/{}", path, kBallastName);
  home.folder = std::move(folder);
  if (auto opened = open_ballast(home); !opened) return std::move(opened).error();
  return std::optional<BallastHome>(std::move(home));
}

Result<Bytes> ballast_blocks(int file) {
  struct stat info{};
  if (::fstat(file, &info) != 0) return Error::from_errno(errno, "look at the ballast");
  return size_of(info);
}

Result<void> mark_ballast(int file) {
  if (::fsetxattr(file, kMark, "1", 1, 0) != 0) return Error::from_errno(errno, "mark the ballast");
  return {};
}

void remove_hidden_folder(const BallastHome& home) {
  if (home.shared.open()) ::unlinkat(home.shared.get(), kHidden, AT_REMOVEDIR);
}

}  // namespace buildwarden::disk
