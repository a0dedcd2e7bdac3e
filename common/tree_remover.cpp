#include "common/tree_remover.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "common/beneath.h"
#include "common/file_flags.h"
#include "common/format.h"

namespace buildwarden {
namespace {

constexpr std::size_t kMostLevelsHeld = 64;  // folders held open at a time
constexpr int kNameAttempts = 16;
// Of one folder: one to remove what is there, one to find nothing more, and some for those who write there by accident.
constexpr int kMostReadings = 8;
// Beside what its size says: a folder's entry takes a byte at least, but some filesystems show no size.
constexpr std::uint64_t kAllowedAnyway = 100'000;
constexpr std::size_t kMostMounts = 16;  // that are named
constexpr const char* kMovedUp = ".buildwarden-deep-";

}  // namespace

TreeRemover::TreeRemover(int parent, std::string where, Options options)
    : parent_(parent), where_(std::move(where)), options_(std::move(options)) {}

void TreeRemover::remove(const std::string& name) {
  if (enter(parent_, name)) walk();
}

Result<void> TreeRemover::remove_folder(const std::string& name, TreeIdentity identity) {
  if (!enter(parent_, name)) return {};
  struct stat opened{};
  const bool same =
      ::fstat(levels_.front().descriptor, &opened) == 0 && TreeIdentity{opened.st_dev, opened.st_ino} == identity;
  if (!same) return Error(Errc::kConflict, format("{} was swapped for another one", name));
  walk();
  return {};
}

void TreeRemover::walk() {
  while (!levels_.empty()) {
    if (is_over()) {
      result_.stopped = true;
      return;
    }
    errno = 0;
    const auto* entry = ::readdir(levels_.back().entries.get());  // NOLINT(concurrency-mt-unsafe): a stream of our own
    if (entry != nullptr) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (may_take()) take(name, entry->d_type);
    } else {
      leave();
    }
  }
}

bool TreeRemover::is_over() const {
  return options_.stop.stop_requested() || std::chrono::steady_clock::now() >= options_.until;
}

// false: more came than can have been there, so somebody writes faster than is removed. The folder is left then.
bool TreeRemover::may_take() {
  auto& level = levels_.back();
  if (level.allowed > 0) {
    --level.allowed;
    return true;
  }
  keep_contested();
  level.progress = false;
  leave();
  return false;
}

void TreeRemover::take(const std::string& name, unsigned char type) {
  auto& level = levels_.back();
  const int folder = level.descriptor;
  if (type != DT_DIR && remove_file(folder, name)) {
    level.progress = true;
    return;
  }
  if (type != DT_DIR && errno != EISDIR) return keep(name, errno);  // EBUSY: a file with a mount on it
  if (handed_over(level, name)) return;
  if (levels_.size() < kMostLevelsHeld) {
    enter(folder, name);
  } else {
    move_up(name);
  }
}

bool TreeRemover::handed_over(Level& level, const std::string& name) const {
  if (!options_.hand_over) return false;
  auto parent = level.shared;
  if (!parent) {
    UniqueFd copy(::fcntl(level.descriptor, F_DUPFD_CLOEXEC, 0));
    if (!copy.open()) return false;
    parent = std::make_shared<const UniqueFd>(std::move(copy));
  }
  if (!options_.hand_over({parent, name, path_of("")})) return false;
  level.shared = std::move(parent);
  return true;
}

// As unlinkat(2). What is in the way of root alone: flags of the folder, then of the file.
bool TreeRemover::unlink(int folder, const std::string& name, int flags) {
  if (::unlinkat(folder, name.c_str(), flags) == 0) return true;
  if (errno != EPERM || !options_.clear_flags) return false;
  const bool ours = !levels_.empty() && levels_.back().descriptor == folder;  // a folder of the tree
  if (ours && !std::exchange(levels_.back().flags_cleared, true) && clear_protection(folder) &&
      ::unlinkat(folder, name.c_str(), flags) == 0) {
    return true;
  }
  if (clear_protection_of(folder, name) && ::unlinkat(folder, name.c_str(), flags) == 0) return true;
  if (errno != ENOENT) errno = EPERM;
  return false;
}

// false: errno says why it is still there.
bool TreeRemover::remove_file(int folder, const std::string& name) {
  struct stat what{};
  const bool known = ::fstatat(folder, name.c_str(), &what, AT_SYMLINK_NOFOLLOW) == 0;
  if (known && S_ISDIR(what.st_mode)) {
    errno = EISDIR;
    return false;
  }
  if (!unlink(folder, name, 0)) return errno == ENOENT;
  ++result_.removed;
  if (known && what.st_nlink <= 1) result_.bytes += what.st_blocks * kStatBlock;
  return true;
}

bool TreeRemover::enter(int folder, const std::string& name) {
  auto opened = open_beneath(folder, name.c_str(), O_RDONLY | O_DIRECTORY);
  if (!opened.open()) return not_entered(folder, name, errno);
  Level level;
  level.entries.reset(::fdopendir(opened.get()));
  if (!level.entries) return not_entered(folder, name, errno);
  level.descriptor = opened.release();
  struct stat what{};
  if (::fstat(level.descriptor, &what) == 0) level.allowed = static_cast<std::uint64_t>(what.st_size);
  level.allowed += kAllowedAnyway;
  level.name = name;
  levels_.push_back(std::move(level));
  return true;
}

// A link or a file took the folder's place: that goes instead.
bool TreeRemover::not_entered(int folder, const std::string& name, int error) {
  if (error == ENOENT) return false;
  const bool swapped = error == ELOOP || error == ENOTDIR;
  // Without the right to read it, it may still be empty.
  const bool empty = error == EACCES && unlink(folder, name, AT_REMOVEDIR);
  if (empty) ++result_.removed;
  if (empty || (swapped && remove_file(folder, name))) {
    if (!levels_.empty()) levels_.back().progress = true;
  } else {
    keep(name, error == EXDEV ? EBUSY : error);
  }
  return false;
}

// At the deepest level: to the top, where a later reading finds it.
void TreeRemover::move_up(const std::string& name) {
  auto& from = levels_.back();
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    const auto above = format("{}{}", kMovedUp, moved_++);
    if (::renameat(from.descriptor, name.c_str(), levels_.front().descriptor, above.c_str()) == 0) {
      from.progress = true;
      levels_.front().progress = true;
      levels_.front().readings = 1;  // what comes is from here
      ++levels_.front().allowed;
      return;
    }
    const bool flagged = errno == EPERM && options_.clear_flags;
    if (flagged && !std::exchange(from.flags_cleared, true)) {
      clear_protection(from.descriptor);
      clear_protection(levels_.front().descriptor);
      clear_protection_of(from.descriptor, name);
      continue;
    }
    if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) break;
  }
  keep(name, errno);
}

// The end of a reading: again while that helps, since others may write and a folder is not a list.
void TreeRemover::leave() {
  auto& level = levels_.back();
  const bool shared = level.shared != nullptr;
  if (level.progress && !shared && level.readings >= kMostReadings) {
    keep_contested();
  } else if (level.progress && !shared) {
    ++level.readings;
    level.progress = false;
    result_.left -= std::exchange(level.kept, 0);
    ::rewinddir(level.entries.get());
    return;
  }
  const auto name = level.name;
  const auto kept = level.kept + (shared ? 1 : 0);
  levels_.pop_back();
  if (!levels_.empty()) levels_.back().kept += kept;
  if (shared) {
    ++result_.left;
    return;
  }
  const int folder = levels_.empty() ? parent_ : levels_.back().descriptor;
  if (unlink(folder, name, AT_REMOVEDIR)) {
    ++result_.removed;
    if (!levels_.empty()) levels_.back().progress = true;
  } else if (kept == 0 && errno != ENOENT) {
    keep(name, errno);
  }
}

void TreeRemover::keep(const std::string& name, int error) {
  ++result_.left;
  if (!levels_.empty()) ++levels_.back().kept;
  if (error == EBUSY) note_mount(path_of(name));
  if (result_.first_error.empty()) {
    result_.first_error = Error::from_errno(error, format("remove {}", path_of(name))).message();
  }
}

void TreeRemover::keep_contested() {
  ++result_.left;
  ++levels_.back().kept;
  if (result_.first_error.empty()) result_.first_error = format("others write into {} all the while", path_of("."));
}

void TreeRemover::note_mount(std::string path) {
  auto& mounts = result_.mounts;
  const bool known = std::find(mounts.begin(), mounts.end(), path) != mounts.end();
  if (!known && mounts.size() < kMostMounts) mounts.push_back(std::move(path));
}

std::string TreeRemover::path_of(const std::string& name) const {
  std::string path = where_;
  for (const auto& level : levels_) path += level.name + "/";
  return path + name;
}

}  // namespace buildwarden
