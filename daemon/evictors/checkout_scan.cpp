#include "daemon/evictors/checkout_scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/atomic_file.h"
#include "common/beneath.h"
#include "common/folder_users.h"
#include "common/format.h"
#include "common/mounts.h"

namespace buildwarden::disk {
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMostCheckouts = 100'000;
constexpr std::size_t kMostInFolder = 10'000;  // entries
constexpr Bytes kMostMountText = 16 * kMiB;

WallTime time_of(const timespec& time) {
  return WallTime{
      std::chrono::duration_cast<Duration>(std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec})};
}

class Look {
 public:
  explicit Look(std::vector<MountEntry> mounts) : mounts_(std::move(mounts)) {}

  Result<CheckoutsSeen> run(int home, const std::string& builds) {
    policy::Checkout at;
    at.path = builds;
    if (auto looked = go_down(home, at, {0, kMostCheckouts}); !looked) return std::move(looked).error();
    return std::move(seen_);
  }

 private:
  struct Way {
    std::size_t depth = 0;
    std::size_t most = 1;  // checkouts there: each folder gets its share, so that nobody's crowd hides the others
  };

  // The names of the folders in it that may be a part of a checkout's path.
  Result<std::vector<std::string>> folders_in(int folder, const std::string& where) {
    auto some = some_entries_of(folder, where, kMostInFolder);
    if (!some) return std::move(some).error();
    if (some->all > some->entries.size()) {
      seen_.in_parts.push_back(
          format("{} has {} entries, of which any {} are looked at at a time", where, some->all, some->entries.size()));
    }
    std::vector<std::string> names;
    for (auto& entry : some->entries) {
      if (!policy::is_checkout_part(entry.name)) continue;
      struct stat what{};
      const bool may_be_link = entry.type == DT_LNK || entry.type == DT_UNKNOWN;
      if (may_be_link && ::fstatat(folder, entry.name.c_str(), &what, AT_SYMLINK_NOFOLLOW) == 0 &&
          S_ISLNK(what.st_mode)) {
        pass_over(where, entry.name, ELOOP);
        continue;
      }
      if (entry.type == DT_DIR || entry.type == DT_UNKNOWN) names.push_back(std::move(entry.name));
    }
    return names;
  }

  // Gone, or a file: nothing is passed over.
  void pass_over(const std::string& where, const std::string& name, int error) {
    if (error == ENOENT || error == ENOTDIR || !seen_.passed_over.empty()) return;
    seen_.passed_over = Error::from_errno(error, format("a checkout may be in {}/{}", where, name)).message();
  }

  Result<void> go_down(int folder, const policy::Checkout& above, Way way) {
    static constexpr std::array<std::string policy::Checkout::*, 3> kParts = {
        &policy::Checkout::agent, &policy::Checkout::org, &policy::Checkout::pipeline};
    const auto names = folders_in(folder, above.path);
    if (!names) return names.error();
    const auto full = seen_.found.size() + way.most;
    const Way below_way{way.depth + 1, std::max<std::size_t>(way.most / std::max<std::size_t>(names->size(), 1), 1)};
    for (const auto& name : *names) {
      if (seen_.found.size() >= full) {
        seen_.in_parts.push_back(format("{} has more checkouts than are looked at at a time", above.path));
        return {};
      }
      // A link, a mount or something else: not ours to touch.
      const auto below = open_beneath(folder, name.c_str(), O_RDONLY | O_DIRECTORY);
      if (!below.open()) {
        pass_over(above.path, name, errno);
        continue;
      }
      auto at = above;
      at.*kParts.at(way.depth) = name;
      at.path += "/" + name;
      if (below_way.depth == kParts.size()) {
        add(below.get(), std::move(at));
      } else if (auto looked = go_down(below.get(), at, below_way); !looked) {
        return looked;
      }
    }
    return {};
  }

  void add(int folder, policy::Checkout checkout) {
    struct stat what{};
    if (::fstat(folder, &what) != 0) return;
    FoundCheckout found;
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
    seen_.found.push_back(std::move(found));
  }

  std::vector<MountEntry> mounts_;
  CheckoutsSeen seen_;
};

}  // namespace

Result<CheckoutsSeen> look_for_checkouts(int home, const std::string& builds) {
  const auto mounts = read_file("/proc/self/mountinfo", kMostMountText);
  if (!mounts) return mounts.error();
  return Look(parse_mountinfo(*mounts)).run(home, builds);
}

UniqueFd open_org(int home, const policy::Checkout& checkout) {
  const auto agent = open_beneath(home, checkout.agent.c_str(), O_RDONLY | O_DIRECTORY);
  return open_beneath(agent.get(), checkout.org.c_str(), O_RDONLY | O_DIRECTORY);
}

Result<std::map<std::string, std::string>> users_of(const std::vector<FoundCheckout>& checkouts) {
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

}  // namespace buildwarden::disk
