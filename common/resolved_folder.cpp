#include "common/resolved_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <deque>
#include <string_view>
#include <utility>
#include <vector>

#include "common/atomic_file.h"
#include "common/file_owner.h"
#include "common/format.h"
#include "common/path_parts.h"

namespace buildwarden {
namespace {

constexpr int kMostLinksOnTheWay = 40;  // as the kernel follows (path_resolution(7))
constexpr Bytes kMostMountInfo = 16 * kMiB;

struct Info {
  mode_t mode = 0;
  uid_t user = 0;
  gid_t group = 0;
  bool mounted = false;  // it is the root of a mount
  std::int64_t mount = 0;
};

// Asks no filesystem, since who mounted it by FUSE may never answer: what the kernel has in memory of a mount's root is
// what it was mounted with. STATX_MNT_ID and STATX_ATTR_MOUNT_ROOT are of Linux 5.8: before, there are no mount points
// here.
Result<Info> info_of(int file, const std::string& path) {
  constexpr int kFlags = AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
  struct statx told{};
  if (::statx(file, "", kFlags, STATX_MODE | STATX_TYPE | STATX_UID | STATX_GID | STATX_MNT_ID, &told) != 0) {
    return Error::from_errno(errno, format("look at {}", path));
  }
  Info info;
  info.mode = told.stx_mode;
  info.user = told.stx_uid;
  info.group = told.stx_gid;
  info.mounted = (told.stx_attributes_mask & told.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  info.mount = static_cast<std::int64_t>(told.stx_mnt_id);
  return info;
}

bool is_sticky(const Info& info) { return (info.mode & S_ISVTX) != 0; }

// Of a line of /proc/self/mountinfo: a FUSE filesystem that another user than root mounted, by the options at its end.
bool is_anothers_fuse(std::string_view line) {
  if (line.find(" - fuse") == std::string_view::npos) return false;
  const auto options = format(",{},", line.substr(line.rfind(' ') + 1));
  return options.find(",user_id=0,") == std::string::npos;
}

// What cannot be found out may be one.
bool is_on_anothers_fuse(std::int64_t mount) {
  const auto text = read_file("/proc/self/mountinfo", kMostMountInfo);
  if (!text) return true;
  const auto begin = format("{} ", mount);
  for (std::string_view rest = *text; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.starts_with(begin)) return is_anothers_fuse(line);
  }
  return true;
}

class Walk {
 public:
  Walk(std::string path, uid_t self) : asked_(std::move(path)), self_(self), ahead_(parts_of(asked_)) {}

  Result<ResolvedFolder> run() {
    if (auto begun = begin(); !begun) return std::move(begun).error();
    while (!ahead_.empty()) {
      const auto name = std::move(ahead_.front());
      ahead_.pop_front();
      if (name == "..") {
        if (steps_.size() > 1) steps_.pop_back();
      } else if (auto taken = take(name); !taken) {
        return std::move(taken).error();
      }
    }
    ResolvedFolder found;
    found.path = path_to("");
    found.folder = UniqueFd(::openat(steps_.back().folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!found.folder.open()) return Error::from_errno(errno, format("open the folder {}", found.path));
    for (const auto& step : steps_) {
      if (found.loose.empty()) found.loose = step.loose;
    }
    return found;
  }

 private:
  struct Step {
    UniqueFd folder;  // O_PATH
    std::string name;
    Info info;
    std::string loose;
  };

  Result<void> begin() {
    if (!asked_.starts_with('/')) return Error(Errc::kInvalid, format("\"{}\" is not an absolute path", asked_));
    Step root;
    root.folder = UniqueFd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root.folder.open()) return Error::from_errno(errno, "open /");
    const auto info = info_of(root.folder.get(), "/");
    if (!info) return info.error();
    root.info = *info;
    steps_.push_back(std::move(root));
    return {};
  }

  Result<void> take(const std::string& name) {
    const int above = steps_.back().folder.get();
    // With O_DIRECTORY an automount is mounted first, as for everybody who works there.
    UniqueFd folder(::openat(above, name.c_str(), O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC));
    if (!folder.open()) {
      if (errno == ENOTDIR || errno == ELOOP) return follow(name);
      return Error::from_errno(errno, format("look at {}", path_to(name)));
    }
    const auto info = info_of(folder.get(), path_to(name));
    if (!info) return info.error();
    Step step{std::move(folder), name, *info, ""};
    if (step.info.mounted && is_on_anothers_fuse(step.info.mount)) {
      return Error(Errc::kConflict,
                   format("on {} another user than root mounted a FUSE filesystem, for which a program "
                          "of theirs answers, or does not: unmount it",
                          path_to(name)));
    }
    step.loose = why_loose(step);
    steps_.push_back(std::move(step));
    return {};
  }

  Result<void> follow(const std::string& name) {
    const auto path = path_to(name);
    const UniqueFd link(::openat(steps_.back().folder.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!link.open()) return Error::from_errno(errno, format("look at {}", path));
    const auto info = info_of(link.get(), path);
    if (!info) return info.error();
    if (!S_ISLNK(info->mode)) return Error(Errc::kInvalid, format("{} is not a folder", path));
    if (!is_trusted(info->user) || !is_closed(steps_.back().info)) {
      return Error(Errc::kConflict,
                   format("{} is a link of uid {} in a folder of uid {} (mode {:o}): a link counts only "
                          "where root owns both and nobody else may write; use the path without it",
                          path, info->user, steps_.back().info.user, steps_.back().info.mode & 07777U));
    }
    std::array<char, PATH_MAX> text{};
    const auto size = ::readlinkat(link.get(), "", text.data(), text.size());
    if (size <= 0) return Error::from_errno(size < 0 ? errno : EINVAL, format("read the link {}", path));
    if (++links_ > kMostLinksOnTheWay) return Error(Errc::kTooLarge, format("{} leads through too many links", asked_));
    const std::string target(text.data(), static_cast<std::size_t>(size));
    if (target.starts_with('/')) steps_.resize(1);
    auto further = parts_of(target);
    ahead_.insert(ahead_.begin(), further.begin(), further.end());
    return {};
  }

  [[nodiscard]] bool is_trusted(uid_t user) const { return is_trusted_owner(user, self_); }

  [[nodiscard]] bool is_closed(const Info& folder) const {
    return is_closed_to_others(folder.user, folder.mode, self_);
  }

  // Whether all who may rename things in `above` may also delete things in `folder`.
  [[nodiscard]] bool can_empty_too(const Info& above, const Info& folder) const {
    const auto writes = is_sticky(folder) ? 0U : folder.mode;
    const bool all = (writes & S_IWOTH) != 0;
    const bool same_group = (writes & S_IWGRP) != 0 && folder.group == above.group;
    const bool owner = is_trusted(above.user) || folder.user == above.user || all;
    const bool group = (above.mode & S_IWGRP) == 0 || same_group || all;
    return owner && group && ((above.mode & S_IWOTH) == 0 || all);
  }

  [[nodiscard]] std::string why_loose(const Step& step) const {
    const auto& above = steps_.back().info;
    if (is_closed(above)) return "";
    if (is_sticky(above) && is_trusted(above.user) && is_closed(step.info)) return "";
    const bool mounted = step.info.mounted;
    if (mounted && can_empty_too(above, step.info)) return "";
    const auto parent = path_to("");
    const auto path = path_to(step.name);
    const auto who = is_trusted(above.user)
                         ? format("{} may be written by others (mode {:o})", parent, above.mode & 07777U)
                         : format("{} belongs to uid {}", parent, above.user);
    const auto danger = mounted ? format("who could put another mount in the place of {}, which is not theirs", path)
                                : format("who could put a link in the place of {}", path);
    return format(
        "{}, {}: mount a folder of theirs on it (mount --bind {} {}, and the same in /etc/fstab), or give {} "
        "to root with no right to write for others",
        who, danger, path, path, parent);
  }

  // Of `name` in the folder that the walk has come to; "" is that folder itself.
  [[nodiscard]] std::string path_to(const std::string& name) const {
    std::string path;
    for (const auto& step : steps_) {
      if (!step.name.empty()) path += "/" + step.name;
    }
    if (!name.empty()) path += "/" + name;
    return path.empty() ? "/" : path;
  }

  std::string asked_;
  uid_t self_;
  std::deque<std::string> ahead_;
  std::vector<Step> steps_;  // the first is "/"
  int links_ = 0;
};

}  // namespace

Result<ResolvedFolder> resolve_folder(const std::string& path, uid_t self) { return Walk(path, self).run(); }

Result<ResolvedFolder> resolve_folder(const std::string& path) { return resolve_folder(path, ::geteuid()); }

}  // namespace buildwarden
