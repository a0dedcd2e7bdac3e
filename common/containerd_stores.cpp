#include "common/containerd_stores.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "common/atomic_file.h"
#include "common/format.h"
#include "common/path_parts.h"
#include "common/unique_fd.h"

namespace buildwarden {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMetadata = "/io.containerd.metadata.v1.bolt/meta.db";
constexpr std::string_view kSnapshots = "/metadata.db";  // of a snapshotter
constexpr Bytes kMostName = 64;

// The process that listens is known by our own connection to it (SO_PEERCRED, unix(7)): it is asked for nothing.
Result<int> listener_of(const std::string& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) return Error(Errc::kInvalid, format("{} is too long", socket));
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  const UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!connection.open()) return Error::from_errno(errno, "make a socket");
  if (::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Error(Errc::kUnavailable, format("nobody answers on {}: {}", socket, std::strerror(errno)));
  }
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return Error::from_errno(errno, format("ask who listens on {}", socket));
  }
  if (peer.pid > 0) return static_cast<int>(peer.pid);
  return Error(Errc::kNotFound, format("who listens on {} is not of this process namespace", socket));
}

// The same file under that path here: the process may live in another mount namespace.
bool is_here(const std::string& link, const std::string& path) {
  struct stat open{};
  struct stat here{};
  return ::stat(link.c_str(), &open) == 0 && ::stat(path.c_str(), &here) == 0 && open.st_dev == here.st_dev &&
         open.st_ino == here.st_ino;
}

// What precedes `suffix` in the first open file of the process whose path ends so; nothing without one.
Result<std::optional<std::string>> open_below(const std::string& process, const std::string& suffix) {
  std::error_code error;
  for (fs::directory_iterator entry(process + "/fd", error), end; !error && entry != end; entry.increment(error)) {
    std::error_code unread;
    const auto path = fs::read_symlink(entry->path(), unread).string();
    if (unread || !path.ends_with(suffix) || !is_here(entry->path().string(), path)) continue;
    return std::optional(path.substr(0, path.size() - suffix.size()));
  }
  if (error) return Error(Errc::kDenied, format("read {}/fd: {}", process, error.message()));
  return std::optional<std::string>{};
}

Result<std::vector<std::string>> stores_of(const std::string& process, const std::string& snapshotter) {
  auto root = open_below(process, std::string(kMetadata));
  if (!root) return std::move(root).error();
  if (!*root) return Error(Errc::kNotFound, format("containerd (process {}) has no metadata open", process));
  const auto folder = "/io.containerd.snapshotter.v1." + snapshotter;
  auto snapshots = open_below(process, folder + std::string(kSnapshots));
  if (!snapshots) return std::move(snapshots).error();
  std::vector<std::string> stores{**root};
  if (*snapshots) {
    auto place = **snapshots + folder;
    if (!is_below(place, **root)) stores.push_back(std::move(place));
    return stores;
  }
  // It is opened by the first use; the folder is made at containerd's start, where it has no other (`root_path`).
  auto other = open_below(process, std::string(kSnapshots));
  if (!other) return std::move(other).error();
  const bool is_other = *other && !is_below(**other, **root);
  std::error_code error;
  if (!is_other && fs::is_directory(**root + folder + "/snapshots", error)) return stores;
  return Error(Errc::kNotFound, format("containerd's root is {}, but its snapshotter {} lies elsewhere{}", **root,
                                       snapshotter, is_other ? ", perhaps in " + **other : ""));
}

// Anybody may call a program so: only one of our own user, root, counts.
bool is_containerd(const std::string& process) {
  struct stat info{};
  if (::stat(process.c_str(), &info) != 0 || info.st_uid != ::geteuid()) return false;
  const auto name = read_file(process + "/comm", kMostName);
  return name && *name == "containerd\n";
}

// Those of containers have their files elsewhere, and do not count.
Result<std::vector<std::string>> only_stores(const std::string& proc, const std::string& snapshotter) {
  std::vector<std::vector<std::string>> found;
  std::error_code error;
  for (fs::directory_iterator entry(proc, error), end; !error && entry != end; entry.increment(error)) {
    const auto process = entry->path().string();
    if (!is_containerd(process)) continue;
    auto stores = stores_of(process, snapshotter);
    if (!stores && stores.error().code() == Errc::kDenied) return std::move(stores).error();
    if (stores) found.push_back(*std::move(stores));
  }
  if (found.size() == 1) return std::move(found.front());
  return Error(Errc::kUnavailable,
               format("the engine does not tell its containerd, and {} of this machine could be it", found.size()));
}

}  // namespace

Result<std::vector<std::string>> containerd_stores(const std::string& socket, const std::string& snapshotter,
                                                   const std::string& proc) {
  if (socket.empty()) return only_stores(proc, snapshotter);
  const auto listener = listener_of(socket);
  if (!listener) return listener.error();
  return stores_of(format("{}/{}", proc, *listener), snapshotter);
}

}  // namespace buildwarden
