#include "daemon/checkouts/look.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "common/atomic_file.h"
#include "common/beneath.h"
#include "common/folder_users.h"
#include "common/format.h"
#include "common/mounts.h"
#include "common/unique_fd.h"

namespace buildwarden::checkouts {
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMostCheckouts = 100'000;
constexpr Bytes kMostMountText = 16 * kMiB;

WallTime time_of(const timespec& time) {
  return WallTime{
      std::chrono::duration_cast<Duration>(std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec})};
}

// The names of the folders in it that may be a part of a checkout's path.
Result<std::vector<std::string>> folders_in(int folder, const std::string& where) {
  auto again = open_beneath(folder, ".", O_RDONLY | O_DIRECTORY);
  if (!again.open()) return Error::from_errno(errno, format("read {}", where));
  struct Close {
    void operator()(DIR* open) const { ::closedir(open); }
  };
  const std::unique_ptr<DIR, Close> entries(::fdopendir(again.get()));
  if (!entries) return Error::from_errno(errno, format("read {}", where));
  again.release();
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const auto* entry = ::readdir(entries.get());  // NOLINT(concurrency-mt-unsafe): a stream of our own
    if (entry == nullptr) break;
    if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) continue;
    if (policy::is_checkout_part(entry->d_name)) names.emplace_back(entry->d_name);
  }
  if (errno != 0) return Error::from_errno(errno, format("read {}", where));
  return names;
}

class Look {
 public:
  Look(std::string builds, std::vector<MountEntry> mounts) : builds_(std::move(builds)), mounts_(std::move(mounts)) {}

  Result<std::vector<Found>> run() {
    const auto home = open_folder(builds_);
    if (!home && home.error().code() == Errc::kNotFound) return std::move(found_);
    if (!home) return home.error();
    policy::Checkout at;
    at.path = builds_;
    if (auto looked = go_down(home->get(), at, 0); !looked) return std::move(looked).error();
    return std::move(found_);
  }

 private:
  Result<void> go_down(int folder, const policy::Checkout& above, std::size_t depth) {
    static constexpr std::array<std::string policy::Checkout::*, 3> kParts = {
        &policy::Checkout::agent, &policy::Checkout::org, &policy::Checkout::pipeline};
    const auto names = folders_in(folder, above.path);
    if (!names) return names.error();
    for (const auto& name : *names) {
      // A link, a mount or something else: not ours to touch.
      const auto below = open_beneath(folder, name.c_str(), O_RDONLY | O_DIRECTORY);
      if (!below.open()) continue;
      auto at = above;
      at.*kParts.at(depth) = name;
      at.path += "/" + name;
      if (depth + 1 == kParts.size()) {
        add(below.get(), std::move(at));
      } else if (auto looked = go_down(below.get(), at, depth + 1); !looked) {
        return looked;
      }
      if (found_.size() > kMostCheckouts) return Error(Errc::kTooLarge, "too many checkouts to look at all of them");
    }
    return {};
  }

  void add(int folder, policy::Checkout checkout) {
    struct stat what{};
    if (::fstat(folder, &what) != 0) return;
    Found found;
    found.identity = {what.st_dev, what.st_ino};
    found.used_by = "the folder itself";
    checkout.used_at = time_of(what.st_ctim);
    const auto git = open_beneath(folder, ".git", O_RDONLY | O_DIRECTORY);
    for (const char* name : {"index", "HEAD", "FETCH_HEAD"}) {
      struct stat stamp{};
      if (!git.open() || ::fstatat(git.get(), name, &stamp, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (time_of(stamp.st_ctim) <= checkout.used_at) continue;
      checkout.used_at = time_of(stamp.st_ctim);
      found.used_by = format(".git/{}", name);
    }
    const auto inside = checkout.path + "/";
    for (const auto& mount : mounts_) found.has_mount = found.has_mount || mount.mount_point.starts_with(inside);
    found.checkout = std::move(checkout);
    found_.push_back(std::move(found));
  }

  std::string builds_;
  std::vector<MountEntry> mounts_;
  std::vector<Found> found_;
};

}  // namespace

Result<std::vector<Found>> look_for_checkouts(const std::string& builds) {
  const auto mounts = read_file("/proc/self/mountinfo", kMostMountText);
  if (!mounts) return mounts.error();
  return Look(without_links(builds), parse_mountinfo(*mounts)).run();
}

Result<std::map<std::string, std::string>> users_of(const std::vector<Found>& checkouts) {
  std::vector<std::string> paths;
  for (const auto& found : checkouts) paths.push_back(found.checkout.path);
  return folder_users(paths);
}

std::string without_links(const std::string& path) {
  if (path.empty()) return path;
  std::error_code error;
  auto real = fs::weakly_canonical(path, error).string();
  if (error) real = fs::path(path).lexically_normal().string();
  while (real.size() > 1 && real.back() == '/') real.pop_back();
  return real;
}

}  // namespace buildwarden::checkouts
