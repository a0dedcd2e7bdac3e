#include "common/foreign_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <deque>
#include <string_view>
#include <thread>
#include <utility>

#include "common/atomic_file.h"
#include "common/file_owner.h"
#include "common/format.h"
#include "common/path_parts.h"
#include "common/unique_fd.h"

namespace buildwarden {
namespace {

constexpr int kMostLinksFollowed = 40;  // as the kernel does

bool may_others_write(const struct stat& what) { return !is_closed_to_others(what.st_uid, what.st_mode, ::geteuid()); }

// Whether others may rename, remove or replace what root has put into this folder; in one of root's that is sticky
// (/tmp) they may not.
bool may_others_replace_in(const struct stat& folder) {
  const bool sticky = is_trusted_owner(folder.st_uid, ::geteuid()) && (folder.st_mode & S_ISVTX) != 0;
  return may_others_write(folder) && !sticky;
}

std::string whose(const struct stat& what) {
  return format("uid {}, gid {}, mode {:04o}", what.st_uid, what.st_gid, what.st_mode & 07777U);
}

// From the root folder down, one component at a time, each held by a descriptor that opens nothing (O_PATH).
class FileWalk {
 public:
  explicit FileWalk(std::string path) : path_(std::move(path)), left_(parts_of(path_)) {}

  Result<UniqueFd> to_the_end() {
    if (!path_.starts_with('/')) return Error(Errc::kInvalid, format("{} is not an absolute path", path_));
    at_ = UniqueFd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (auto looked = look(); !looked) return std::move(looked).error();
    while (!left_.empty()) {
      if (auto went = step(); !went) return std::move(went).error();
    }
    return std::move(at_);
  }

 private:
  Result<void> look() {
    if (at_.open() && ::fstat(at_.get(), &what_) == 0) return {};
    return Error::from_errno(errno, format("read {}", path_));
  }

  Result<void> step() {
    const auto name = std::move(left_.front());
    left_.pop_front();
    const bool shared = may_others_replace_in(what_);
    const bool is_open =
        may_others_write(what_);  // also where a sticky one keeps what is root's: a link may be brought in
    auto next = open_next(name, shared);
    if (!next.open() && errno == EXDEV) {
      return Error(Errc::kDenied, format("read {}: {} is a mount in a folder that others may write to", path_, name));
    }
    if (!next.open()) return Error::from_errno(errno, format("read {}", path_));
    const auto folder = std::exchange(at_, std::move(next));
    if (auto looked = look(); !looked) return looked;
    if (!S_ISLNK(what_.st_mode)) return {};
    if (is_open || !is_trusted_owner(what_.st_uid, ::geteuid())) {
      return Error(Errc::kDenied,
                   format("read {}: {} is a link that others than root may have made ({})", path_, name, whose(what_)));
    }
    return follow(folder);
  }

  [[nodiscard]] UniqueFd open_next(const std::string& name, bool shared) const {
    if (!shared) return UniqueFd(::openat(at_.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    open_how how{};
    how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_NO_XDEV;
    return UniqueFd(static_cast<int>(::syscall(SYS_openat2, at_.get(), name.c_str(), &how, sizeof how)));
  }

  Result<void> follow(const UniqueFd& folder) {
    std::array<char, PATH_MAX> target{};
    const auto size = ::readlinkat(at_.get(), "", target.data(), target.size());
    if (size < 0) return Error::from_errno(errno, format("read {}", path_));
    const std::string_view text(target.data(), static_cast<std::size_t>(size));
    if (++links_ > kMostLinksFollowed) return Error(Errc::kInvalid, format("read {}: too many links", path_));
    auto further = parts_of(text);
    left_.insert(left_.begin(), further.begin(), further.end());
    const int from = folder.get();
    at_ = UniqueFd(text.starts_with('/') ? ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)
                                         : ::openat(from, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    return look();
  }

  std::string path_;
  std::deque<std::string> left_;
  UniqueFd at_;
  struct stat what_{};
  int links_ = 0;
};

// What was looked at, and nothing that took its place since.
UniqueFd open_found(int found) {
  const auto same = format("/proc/self/fd/{}", found);
  return UniqueFd(::open(same.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

// Whether somebody has it open for writing: who made a file keeps the right to write through a descriptor, whatever is
// done to its owner and mode afterwards. A read lease is refused then (fcntl(2), F_SETLEASE: EAGAIN). Its breaking is
// told by a signal, SIGIO, which would end us: hence another one, which is ignored by itself. Where the filesystem has
// no leases nobody is seen.
bool has_writer(int file) {
  static_cast<void>(::fcntl(file, F_SETSIG, SIGURG));
  if (::fcntl(file, F_SETLEASE, F_RDLCK) != 0) return errno == EAGAIN;
  static_cast<void>(::fcntl(file, F_SETLEASE, F_UNLCK));
  return false;
}

// Root may be about to write it: it is given a moment.
bool stays_open_for_writing(int file) {
  constexpr int kLooks = 8;
  constexpr auto kBetween = std::chrono::milliseconds{50};
  for (int look = 0; look < kLooks; ++look) {
    if (!has_writer(file)) return false;
    std::this_thread::sleep_for(kBetween);
  }
  return has_writer(file);
}

}  // namespace

Result<ForeignFile> read_foreign_file(const std::string& path, FileOwner owner, Bytes limit) {
  auto found = FileWalk(path).to_the_end();
  if (!found) return std::move(found).error();
  struct stat what{};
  if (::fstat(found->get(), &what) != 0) return Error::from_errno(errno, format("read {}", path));
  if (!S_ISREG(what.st_mode)) return Error(Errc::kInvalid, format("read {}: it is not a regular file", path));
  if (owner == FileOwner::kRoot && may_others_write(what)) {
    return Error(Errc::kDenied, format("{} does not count, since others than root may write to it ({}): remove it "
                                       "and write it anew as root, with mode 0644 or 0640",
                                       path, whose(what)));
  }
  const auto file = open_found(found->get());
  if (!file.open()) return Error::from_errno(errno, format("read {}", path));
  if (owner == FileOwner::kRoot && stays_open_for_writing(file.get())) {
    return Error(Errc::kDenied,
                 format("{} does not count while somebody has it open for writing: remove it and write it "
                        "anew as root",
                        path));
  }
  auto text = read_all(file.get(), path, limit);
  if (!text) return std::move(text).error();
  constexpr std::int64_t kNanoseconds = 1'000'000'000;
  return ForeignFile{*std::move(text), what.st_mtim.tv_sec * kNanoseconds + what.st_mtim.tv_nsec};
}

bool may_others_replace(const std::string& path) {
  const auto folder = FileWalk(path.substr(0, path.rfind('/'))).to_the_end();
  struct stat what{};
  return !folder || ::fstat(folder->get(), &what) != 0 || may_others_replace_in(what);
}

}  // namespace buildwarden
