#include "common/tree_removal.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "common/beneath.h"
#include "common/format.h"

namespace buildwarden {
namespace {

constexpr std::size_t kDeepest = 64;  // folders held open at a time
constexpr int kNameAttempts = 16;
constexpr std::size_t kMostMounts = 16;  // that are named
constexpr Bytes kBlock = 512;            // the unit of st_blocks
constexpr const char* kMovedUp = ".buildwarden-deep-";

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

// A folder that is being emptied.
struct Level {
  std::unique_ptr<DIR, CloseFolder> entries;
  std::string name;        // in the level above
  bool progress = false;   // something went since it was last read from its beginning
  std::uint64_t kept = 0;  // what cannot go, in it and below, as far as this reading of it came
  int descriptor = -1;     // of `entries`, which owns it
};

class Remover {
 public:
  Remover(int parent, std::stop_token stop) : parent_(parent), stop_(std::move(stop)) {}

  Result<TreeRemoved> run(const std::string& name, const struct stat& what) {
    if (!S_ISDIR(what.st_mode)) {
      if (!remove_file(parent_, name)) keep(name, errno);
    } else if (enter(parent_, name)) {
      struct stat opened{};
      const bool same = ::fstat(levels_.front().descriptor, &opened) == 0 && opened.st_ino == what.st_ino &&
                        opened.st_dev == what.st_dev;
      if (!same) return Error(Errc::kConflict, format("{} was swapped for another one", name));
      walk();
    }
    return std::move(result_);
  }

 private:
  void walk() {
    while (!levels_.empty()) {
      if (stop_.stop_requested()) {
        result_.stopped = true;
        return;
      }
      errno = 0;
      const auto* entry =
          ::readdir(levels_.back().entries.get());  // NOLINT(concurrency-mt-unsafe): a stream of our own
      if (entry != nullptr) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") take(name, entry->d_type);
      } else {
        leave();
      }
    }
  }

  void take(const std::string& name, unsigned char type) {
    auto& level = levels_.back();
    const int folder = level.descriptor;
    if (type != DT_DIR && remove_file(folder, name)) {
      level.progress = true;
      return;
    }
    if (type != DT_DIR && errno != EISDIR) return keep(name, errno);  // EBUSY: a file with a mount on it
    if (levels_.size() < kDeepest) {
      enter(folder, name);
    } else {
      move_up(name);
    }
  }

  // false: errno says why it is still there.
  bool remove_file(int folder, const std::string& name) {
    struct stat what{};
    const bool known = ::fstatat(folder, name.c_str(), &what, AT_SYMLINK_NOFOLLOW) == 0;
    if (known && S_ISDIR(what.st_mode)) {
      errno = EISDIR;
      return false;
    }
    if (::unlinkat(folder, name.c_str(), 0) != 0) return errno == ENOENT;
    ++result_.removed;
    if (known && what.st_nlink <= 1) result_.bytes += what.st_blocks * kBlock;
    return true;
  }

  bool enter(int folder, const std::string& name) {
    auto opened = open_beneath(folder, name.c_str(), O_RDONLY | O_DIRECTORY);
    if (!opened.open()) return not_entered(folder, name, errno);
    Level level;
    level.entries.reset(::fdopendir(opened.get()));
    if (!level.entries) return not_entered(folder, name, errno);
    level.descriptor = opened.release();
    level.name = name;
    levels_.push_back(std::move(level));
    return true;
  }

  // A link or a file took the folder's place: that goes instead.
  bool not_entered(int folder, const std::string& name, int error) {
    if (error == ENOENT) return false;
    const bool swapped = error == ELOOP || error == ENOTDIR;
    // Without the right to read it, it may still be empty.
    const bool empty = error == EACCES && ::unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0;
    if (empty) ++result_.removed;
    if (empty || (swapped && remove_file(folder, name))) {
      if (!levels_.empty()) levels_.back().progress = true;
    } else {
      keep(name, error == EXDEV ? EBUSY : error);
    }
    return false;
  }

  // At the deepest level: to the top, where a later reading finds it.
  void move_up(const std::string& name) {
    auto& from = levels_.back();
    for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
      const auto above = format("{}{}", kMovedUp, moved_++);
      if (::renameat(from.descriptor, name.c_str(), levels_.front().descriptor, above.c_str()) == 0) {
        from.progress = true;
        levels_.front().progress = true;
        return;
      }
      if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) break;
    }
    keep(name, errno);
  }

  // The end of a reading: again while that helps, since others may write and a folder is not a list.
  void leave() {
    auto& level = levels_.back();
    if (level.progress) {
      level.progress = false;
      result_.left -= std::exchange(level.kept, 0);
      ::rewinddir(level.entries.get());
      return;
    }
    const auto name = level.name;
    const auto kept = level.kept;
    levels_.pop_back();
    if (!levels_.empty()) levels_.back().kept += kept;
    const int folder = levels_.empty() ? parent_ : levels_.back().descriptor;
    if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0) {
      ++result_.removed;
      if (!levels_.empty()) levels_.back().progress = true;
    } else if (kept == 0 && errno != ENOENT) {
      keep(name, errno);
    }
  }

  void keep(const std::string& name, int error) {
    ++result_.left;
    if (!levels_.empty()) ++levels_.back().kept;
    if (error == EBUSY) note_mount(path_of(name));
    if (result_.first_error.empty()) {
      result_.first_error = Error::from_errno(error, format("remove {}", path_of(name))).message();
    }
  }

  void note_mount(std::string path) {
    auto& mounts = result_.mounts;
    const bool known = std::find(mounts.begin(), mounts.end(), path) != mounts.end();
    if (!known && mounts.size() < kMostMounts) mounts.push_back(std::move(path));
  }

  [[nodiscard]] std::string path_of(const std::string& name) const {
    std::string path;
    for (const auto& level : levels_) path += level.name + "/";
    return path + name;
  }

  int parent_;
  std::stop_token stop_;
  std::vector<Level> levels_;
  std::uint64_t moved_ = 0;
  TreeRemoved result_;
};

Result<struct stat> status_of(int folder, const std::string& name) {
  struct stat what{};
  if (::fstatat(folder, name.c_str(), &what, AT_SYMLINK_NOFOLLOW) != 0) {
    return Error::from_errno(errno, format("look at {}", name));
  }
  return what;
}

}  // namespace

Result<TreeRemoved> remove_tree(const std::string& parent, const std::string& name, TreeIdentity identity,
                                std::stop_token stop) {
  if (auto fine = check_component(name); !fine) return std::move(fine).error();
  auto folder = open_folder(parent);
  if (!folder) return std::move(folder).error();
  const auto what = status_of(folder->get(), name);
  if (!what) return what.error();
  if (TreeIdentity{what->st_dev, what->st_ino} != identity) {
    return Error(Errc::kConflict, format("{}/{} is another one by now", parent, name));
  }
  Remover remover(folder->get(), std::move(stop));
  return remover.run(name, *what);
}

Result<TreeIdentity> tree_identity(const std::string& parent, const std::string& name) {
  if (auto fine = check_component(name); !fine) return std::move(fine).error();
  auto folder = open_folder(parent);
  if (!folder) return std::move(folder).error();
  const auto what = status_of(folder->get(), name);
  if (!what) return what.error();
  return TreeIdentity{what->st_dev, what->st_ino};
}

}  // namespace buildwarden
