#include "common/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "common/format.h"
#include "common/unique_fd.h"

namespace buildwarden {
namespace {

constexpr std::size_t kLongestLine = std::size_t{64} * 1024;
constexpr int kMostWriters = 100;  // that come in between, of one file

Result<void> write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const auto written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Error::from_errno(errno, "write");
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<UniqueFd> open_regular(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (file.get() < 0) return Error::from_errno(errno, format("read {}", path));
  struct stat what{};
  if (::fstat(file.get(), &what) != 0) return Error::from_errno(errno, format("read {}", path));
  if (!S_ISREG(what.st_mode)) return Error(Errc::kInvalid, format("read {}: it is not a regular file", path));
  return file;
}

Result<void> sync_file(int fd) {
  if (::fsync(fd) != 0) return Error::from_errno(errno, "sync");
  return {};
}

// One name for all writers, so that what one of them left half written, since it was killed, is the next one's to fill.
// Who holds the lock writes, if the file still has that name by then; where nothing can be locked, whoever comes.
Result<UniqueFd> open_beside(const std::string& beside, mode_t mode) {
  for (int i = 0; i < kMostWriters; ++i) {
    UniqueFd file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW, mode));
    if (file.get() < 0) return Error::from_errno(errno, format("create {}", beside));
    while (::flock(file.get(), LOCK_EX) != 0 && errno == EINTR) continue;
    struct stat ours{};
    struct stat named{};
    if (::fstat(file.get(), &ours) != 0 || ::lstat(beside.c_str(), &named) != 0) continue;
    if (ours.st_ino != named.st_ino || ours.st_dev != named.st_dev) continue;
    if (::ftruncate(file.get(), 0) != 0) return Error::from_errno(errno, format("empty {}", beside));
    return file;
  }
  return Error(Errc::kConflict, format("{} is written by others all the time", beside));
}

void sync_parent(const std::string& path) {
  const auto slash = path.rfind('/');
  const UniqueFd folder(
      ::open(slash == std::string::npos ? "." : path.substr(0, slash + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() >= 0) ::fsync(folder.get());
}

Result<void> write_over(const std::string& path, std::string_view content, mode_t mode, bool synced) {
  const auto beside = path + ".tmp";
  const auto file = open_beside(beside, mode);
  if (!file) return file.error();
  auto written = write_all(file->get(), content);
  if (written && synced) written = sync_file(file->get());
  // The umask is not ours to obey: a socket's or a lease's mode is part of its contract.
  if (written && ::fchmod(file->get(), mode) != 0) written = Error::from_errno(errno, "set the mode");
  if (written && std::rename(beside.c_str(), path.c_str()) != 0) written = Error::from_errno(errno, "rename");
  if (!written) {
    ::unlink(beside.c_str());
    return std::move(written).with_context(format("write {}", path));
  }
  if (synced) sync_parent(path);
  return {};
}

}  // namespace

Result<void> write_file_atomically(const std::string& path, std::string_view content, mode_t mode) {
  return write_over(path, content, mode, true);
}

Result<void> replace_file(const std::string& path, std::string_view content, mode_t mode) {
  return write_over(path, content, mode, false);
}

Result<std::string> read_file(const std::string& path, Bytes limit) {
  const auto file = open_regular(path);
  if (!file) return file.error();
  return read_all(file->get(), path, limit);
}

Result<void> read_lines(const std::string& path, const std::function<bool(std::string_view)>& take) {
  const auto file = open_regular(path);
  if (!file) return file.error();
  std::string rest;
  std::array<char, kLongestLine> buffer{};
  for (;;) {
    const auto count = ::read(file->get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Error::from_errno(errno, format("read {}", path));
    if (count == 0) break;
    rest.append(buffer.data(), static_cast<std::size_t>(count));
    std::size_t begin = 0;
    for (auto end = rest.find('\n'); end != std::string::npos; end = rest.find('\n', begin)) {
      if (!take(std::string_view(rest).substr(begin, end - begin))) return {};
      begin = end + 1;
    }
    rest.erase(0, begin);
    if (rest.size() > kLongestLine) return Error(Errc::kTooLarge, format("{} has a line of over 64 KiB", path));
  }
  if (!rest.empty()) take(rest);
  return {};
}

Result<std::string> read_all(int file, const std::string& path, Bytes limit) {
  std::string content;
  char buffer[16 * 1024];
  for (;;) {
    const auto count = ::read(file, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Error::from_errno(errno, format("read {}", path));
    if (count == 0) return content;
    content.append(buffer, static_cast<std::size_t>(count));
    if (static_cast<Bytes>(content.size()) > limit) {
      return Error(Errc::kTooLarge, format("{} is larger than {}", path, format_bytes(limit)));
    }
  }
}

Result<void> make_folders(const std::string& path, mode_t mode) {
  for (std::size_t at = 1; at <= path.size(); ++at) {
    if (at != path.size() && path[at] != '/') continue;
    const std::string part = path.substr(0, at);
    struct stat info{};
    if (::mkdir(part.c_str(), mode) == 0) continue;
    const int error_number = errno;
    if (::stat(part.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) continue;
    return Error::from_errno(error_number, format("make the folder {}", part));
  }
  return {};
}

}  // namespace buildwarden
