#include "common/folder_users.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <set>
#include <string_view>

#include "common/atomic_file.h"
#include "common/format.h"
#include "common/mounts.h"
#include "common/system_folders.h"
#include "common/unique_fd.h"

namespace buildwarden {
namespace fs = std::filesystem;

namespace {

constexpr const char* kInit = "1";
constexpr std::uint64_t kMostLinks = 2'000'000;
constexpr Bytes kMostMountText = 16 * kMiB;
constexpr std::string_view kNewline = "\\012";  // as /proc/<pid>/maps writes one, and nothing else so

bool is_number(const std::string& name) { return name.find_first_not_of("0123456789") == std::string::npos; }

std::string unescaped(std::string_view path) {
  std::string text(path);
  for (auto at = text.find(kNewline); at != std::string::npos; at = text.find(kNewline, at + 1)) {
    text.replace(at, kNewline.size(), "\n");
  }
  return text;
}

// Where a folder lies in its filesystem.
struct Location {
  std::string device;
  std::string path;
};

class Scan {
 public:
  Scan(const std::vector<std::string>& folders, std::string proc) : proc_(std::move(proc)) {
    folders_.insert(folders.begin(), folders.end());
  }

  Result<std::map<std::string, std::string>> run() {
    if (folders_.empty()) return users_;
    const auto own = read_file(proc_ + "/self/mountinfo", kMostMountText);
    if (!own) return own.error();
    own_mounts_ = parse_mountinfo(*own);
    locate();
    if (const auto link = link_of(proc_ + "/self/ns/mnt"); link && *link) namespaces_.insert(**link);
    std::error_code error;
    for (fs::directory_iterator entry(proc_, error), end; !error && entry != end; entry.increment(error)) {
      const auto pid = entry->path().filename().string();
      if (!is_number(pid)) continue;
      auto seen = look_at(pid);
      if (!seen && !(pid == kInit && seen.error().code() == Errc::kDenied)) return std::move(seen).error();
    }
    if (error) return Error(Errc::kIo, format("read {}: {}", proc_, error.message()));
    return users_;
  }

 private:
  void locate() {
    for (const auto& folder : folders_) {
      const auto* mount = mount_of(own_mounts_, folder);
      if (mount == nullptr) continue;
      auto below = mount->mount_point == "/" ? folder : folder.substr(mount->mount_point.size());
      locations_[folder] = {mount->device, mount->root == "/" ? below : mount->root + below};
    }
  }

  Result<void> look_at(const std::string& pid) {
    const auto base = proc_ + "/" + pid;
    static constexpr std::array<std::array<const char*, 2>, 3> kLinks = {
        {{"cwd", "its working folder"}, {"root", "its root"}, {"exe", "its program"}}};
    for (const auto& [name, what] : kLinks) {
      if (auto seen = look_at_link(pid, base + "/" + name, what); !seen) return seen;
    }
    std::error_code error;
    for (fs::directory_iterator entry(base + "/fd", error), end; !error && entry != end; entry.increment(error)) {
      if (auto seen = look_at_link(pid, entry->path().string(), "an open file"); !seen) return seen;
    }
    const bool gone = error == std::errc::no_such_file_or_directory || error == std::errc::no_such_process;
    if (error && !gone) return may_not_see(pid);
    if (auto seen = look_at_maps(pid, base); !seen) return seen;
    return look_at_mounts(pid, base);
  }

  // A library or a database may be mapped after its descriptor was closed. Line by line: a job may map as many files
  // with as long names as it likes.
  Result<void> look_at_maps(const std::string& pid, const std::string& base) {
    std::string before;
    Result<void> seen;
    const auto read = read_lines(base + "/maps", [&](std::string_view line) {
      const auto slash = line.find('/');
      if (slash == std::string_view::npos || line.substr(slash) == before) return true;
      before = line.substr(slash);
      seen = look_at_path(pid, unescaped(before), "a mapped file");
      return seen.ok();
    });
    if (!seen || read) return seen;
    const auto still = link_of(base + "/exe");
    return still && !*still ? Result<void>{} : may_not_see(pid, read.error());
  }

  // Nothing when the process or its file is gone by now.
  static Result<std::optional<std::string>> link_of(const std::string& path) {
    std::array<char, 4096> target{};
    const auto size = ::readlink(path.c_str(), target.data(), target.size());
    if (size >= 0) return std::optional<std::string>(std::string(target.data(), static_cast<std::size_t>(size)));
    if (errno == EACCES || errno == EPERM) return Error::from_errno(errno, format("read {}", path));
    return std::optional<std::string>();
  }

  Result<void> look_at_link(const std::string& pid, const std::string& path, const char* what) {
    const auto target = link_of(path);
    if (!target) return may_not_see(pid);
    if (!*target || !(*target)->starts_with('/')) return {};
    return look_at_path(pid, **target, what);
  }

  Result<void> look_at_path(const std::string& pid, const std::string& path, const char* what) {
    if (++links_ > kMostLinks) return Error(Errc::kTooLarge, "too many open files to look at all of them");
    for (std::string_view at = path; !at.empty(); at = at.substr(0, at.rfind('/'))) {
      const auto folder = folders_.find(std::string(at));
      if (folder != folders_.end()) note(*folder, pid, format("has {} there", what));
    }
    return {};
  }

  Result<void> look_at_mounts(const std::string& pid, const std::string& base) {
    const auto space = link_of(base + "/ns/mnt");
    if (!space) return may_not_see(pid);
    if (!*space || !namespaces_.insert(**space).second) return {};
    const auto text = read_file(base + "/mountinfo", kMostMountText);
    if (!text) {
      namespaces_.erase(**space);  // another of its processes will tell
      const auto still = link_of(base + "/ns/mnt");
      return still && !*still ? Result<void>{} : may_not_see(pid);
    }
    for (const auto& mount : parse_mountinfo(*text)) {
      if (!also_here(mount)) note_mounted(pid, mount);
    }
    return {};
  }

  void note_mounted(const std::string& pid, const MountEntry& mount) {
    for (const auto& [folder, location] : locations_) {
      if (location.device != mount.device) continue;
      if (overlap(location.path, mount.root)) {
        note(folder, pid, format("has it mounted at {}", mount.mount_point));
      }
    }
  }

  // As services with a mount namespace of their own inherit it.
  [[nodiscard]] bool also_here(const MountEntry& mount) const {
    for (const auto& own : own_mounts_) {
      if (own.device == mount.device && own.root == mount.root && own.mount_point == mount.mount_point) return true;
    }
    return false;
  }

  void note(const std::string& folder, const std::string& pid, const std::string& how) {
    if (users_.contains(folder)) return;
    auto name = read_file(proc_ + "/" + pid + "/comm");
    auto word = name ? *name : std::string();
    if (word.ends_with('\n')) word.pop_back();
    users_[folder] = format("process {} ({}), which {}", pid, word, how);
  }

  static Result<void> may_not_see(const std::string& pid) {
    return Error(Errc::kDenied, format("process {} may not be looked at, so nobody knows what it uses", pid));
  }
  static Result<void> may_not_see(const std::string& pid, const Error& why) {
    return Error(Errc::kDenied, format("nobody knows what process {} uses: {}", pid, why.message()));
  }

  std::string proc_;
  std::set<std::string> folders_;
  std::map<std::string, Location> locations_;
  std::vector<MountEntry> own_mounts_;
  std::set<std::string> namespaces_;
  std::map<std::string, std::string> users_;
  std::uint64_t links_ = 0;
};

}  // namespace

Result<std::map<std::string, std::string>> folder_users(const std::vector<std::string>& folders,
                                                        const std::string& proc) {
  return Scan(folders, proc).run();
}

}  // namespace buildwarden
