#include "common/trash.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>

#include "common/beneath.h"
#include "common/format.h"

namespace buildwarden {
namespace {

constexpr mode_t kOthers = 077;

bool is_ours(int folder) {
  struct stat what{};
  return ::fstat(folder, &what) == 0 && what.st_uid == ::geteuid() && (what.st_mode & kOthers) == 0;
}

bool is_it(int folder, const std::string& name, TreeIdentity identity) {
  struct stat what{};
  return ::fstatat(folder, name.c_str(), &what, AT_SYMLINK_NOFOLLOW) == 0 &&
         TreeIdentity{what.st_dev, what.st_ino} == identity;
}

std::string name_in_trash(const ToThrowAway& what) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  return format("{}-{}{}", what.identity.inode, nanoseconds, what.label);
}

}  // namespace

Result<UniqueFd> open_trash(int home, const std::string& path, bool make) {
  const auto where = format("{}/{}", path, kTrashName);
  if (make && ::mkdirat(home, kTrashName, 0700) != 0 && errno != EEXIST) {
    return Error::from_errno(errno, format("make {}", where));
  }
  auto trash = open_beneath(home, kTrashName, O_RDONLY | O_DIRECTORY);
  if (!trash.open() && errno == ENOENT) return Error(Errc::kNotFound, format("there is no {}", where));
  if (!trash.open() || !is_ours(trash.get())) {
    return Error(Errc::kDenied, format("{} is not a folder that is ours alone", where));
  }
  return trash;
}

Result<std::string> throw_away(const ToThrowAway& what, int trash) {
  const auto& [from, name, identity, label] = what;
  if (auto fine = check_component(name); !fine) return std::move(fine).error();
  if (!is_it(from, name, identity)) return Error(Errc::kConflict, format("{} is another one by now", name));
  auto there = name_in_trash(what);
  if (::renameat2(from, name.c_str(), trash, there.c_str(), RENAME_NOREPLACE) != 0) {
    return Error::from_errno(errno, format("rename {} into {}", name, kTrashName));
  }
  if (is_it(trash, there, identity)) return there;
  // Somebody was between the look and the rename.
  if (::renameat2(trash, there.c_str(), from, name.c_str(), RENAME_NOREPLACE) != 0) {
    return Error::from_errno(errno, format("put {} back, which is another one by now", name));
  }
  return Error(Errc::kConflict, format("{} is another one by now", name));
}

}  // namespace buildwarden
