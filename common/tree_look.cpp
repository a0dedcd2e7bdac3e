#include "common/tree_look.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include "common/beneath.h"
#include "common/format.h"

namespace buildwarden {
namespace {

constexpr std::size_t kMostFoldersHeld = 128;

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};
struct Folder {
  std::unique_ptr<DIR, CloseFolder> entries;
  int descriptor = -1;  // of `entries`, which owns it
};

WallTime time_of(const timespec& time) {
  return WallTime{
      std::chrono::duration_cast<Duration>(std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec})};
}

class Looker {
 public:
  Looker(std::uint64_t most, const std::stop_token& stop) : most_(most), stop_(stop) {}

  TreeLook run(int parent, const std::string& name, const struct stat& what) {
    look_.identity = {what.st_dev, what.st_ino};
    look_.complete = true;
    count(what);
    if (S_ISDIR(what.st_mode)) enter(parent, name);
    while (!folders_.empty()) next();
    return look_;
  }

 private:
  void next() {
    if (stop_.stop_requested() || look_.entries > most_) {
      look_.complete = false;
      folders_.clear();
      return;
    }
    errno = 0;
    const auto* entry = ::readdir(folders_.back().entries.get());  // NOLINT(concurrency-mt-unsafe): a stream of our own
    if (entry == nullptr) {
      if (errno != 0) look_.complete = false;
      folders_.pop_back();
      return;
    }
    const std::string name = entry->d_name;
    if (name == "." || name == "..") return;
    const int folder = folders_.back().descriptor;
    struct stat what{};
    if (::fstatat(folder, name.c_str(), &what, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) {
      if (errno != ENOENT) look_.complete = false;
      return;
    }
    if (what.st_dev != look_.identity.device) {
      look_.has_mount = true;
      return;
    }
    count(what);
    if (S_ISDIR(what.st_mode)) enter(folder, name);
  }

  void enter(int folder, const std::string& name) {
    auto opened =
        folders_.size() < kMostFoldersHeld ? open_beneath(folder, name.c_str(), O_RDONLY | O_DIRECTORY) : UniqueFd();
    if (!opened.open() && errno == EXDEV) look_.has_mount = true;
    Folder inside;
    if (opened.open()) inside.entries.reset(::fdopendir(opened.get()));
    if (!inside.entries) {
      look_.complete = false;
      return;
    }
    inside.descriptor = opened.release();
    folders_.push_back(std::move(inside));
  }

  void count(const struct stat& what) {
    ++look_.entries;
    look_.changed = std::max(look_.changed, time_of(what.st_ctim));
    if (S_ISDIR(what.st_mode) || what.st_nlink <= 1) look_.bytes += what.st_blocks * kStatBlock;
  }

  std::uint64_t most_;
  const std::stop_token& stop_;
  std::vector<Folder> folders_;
  TreeLook look_;
};

}  // namespace

Result<TreeLook> look_through(int parent, const std::string& name, std::uint64_t most, const std::stop_token& stop) {
  if (auto fine = check_component(name); !fine) return std::move(fine).error();
  struct stat what{};
  if (::fstatat(parent, name.c_str(), &what, AT_SYMLINK_NOFOLLOW) != 0) {
    return Error::from_errno(errno, format("look at {}", name));
  }
  return Looker(most, stop).run(parent, name, what);
}

}  // namespace buildwarden
