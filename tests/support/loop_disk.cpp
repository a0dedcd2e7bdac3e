#include "tests/support/loop_disk.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "common/units.h"
#include "tests/support/command.h"

namespace buildwarden::testing {
namespace {

void must(const std::string& script) {
  const auto result = run_shell("set -e; " + script);
  if (result.exit_code != 0) throw std::runtime_error(script + "\n" + result.out);
}

void freezing(const std::string& folder, unsigned long request) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || ::ioctl(fd, request, 0) != 0) throw std::runtime_error("freeze or thaw " + folder);
  ::close(fd);
}

// In large pieces first, for speed, then as writers do, until not one byte more can be written.
int evict_all(int fd) {
  off_t end = 0;
  for (std::int64_t piece = 64 * kMiB; piece >= 4096;) {
    if (::fallocate(fd, 0, end, piece) == 0) {
      end += piece;
    } else if (errno == ENOSPC) {
      piece /= 2;
    } else if (errno != EINTR) {
      return 2;
    }
  }
  static std::array<char, 4096> block{};
  for (std::size_t piece = block.size(); piece > 0;) {
    const auto written = ::pwrite(fd, block.data(), piece, end);
    if (written > 0) end += written;
    if (written < 0 && errno != EINTR && errno != ENOSPC) return 3;
    if (written < 0 && errno == ENOSPC) piece /= 2;
  }
  return ::fsync(fd) == 0 || errno == ENOSPC ? 0 : 4;
}

[[noreturn]] void fill_as(const char* file, uid_t user) {
  // Opened as root: the user need not see the folders above. Whose reserve is used is decided at the write.
  const int fd = ::open(file, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || (user != 0 && (::setgid(user) != 0 || ::setuid(user) != 0))) ::_exit(9);
  ::_exit(evict_all(fd));
}

}  // namespace

LoopDisk::LoopDisk(std::string image, std::string folder, const std::string& type, const std::string& more)
    : image_(std::move(image)), folder_(std::move(folder)) {
  const auto quiet = type == "xfs" ? " -qf " : " -qF ";
  must("truncate -s 320M " + image_ + "; mkfs." + type + quiet + more + " " + image_ + "; mkdir -p " + folder_);
  mount();
}

LoopDisk::~LoopDisk() {
  if (frozen_) run_shell("fsfreeze -u " + folder_);
  run_shell("umount " + folder_ + " || umount -l " + folder_ + "; rm -f " + image_);
}

void LoopDisk::mount() { must("mount -o loop " + image_ + " " + folder_); }

bool LoopDisk::unmount() { return run_shell("umount " + folder_).exit_code == 0; }

void LoopDisk::freeze() {
  freezing(folder_, FIFREEZE);
  frozen_ = true;
}

void LoopDisk::thaw() {
  freezing(folder_, FITHAW);
  frozen_ = false;
}

Filler::Filler(const std::string& folder, uid_t user) : file_(folder + "/filler." + std::to_string(user)), user_(user) {
  const int fd = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ::fchown(fd, user, user) != 0) throw std::runtime_error("cannot make " + file_);
  ::close(fd);
}

void Filler::fill() {
  const pid_t pid = ::fork();
  if (pid == 0) fill_as(file_.c_str(), user_);
  int status = -1;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) throw std::runtime_error(file_ + " could not be written: " + std::to_string(status));
}

Filler::~Filler() {
  std::error_code ignored;
  std::filesystem::remove(file_, ignored);
}

FreeSpace free_space(const std::string& folder) {
  struct statvfs info{};
  if (::statvfs(folder.c_str(), &info) != 0) return {};
  const auto block = static_cast<std::int64_t>(info.f_frsize);
  return {static_cast<std::int64_t>(info.f_bavail) * block, static_cast<std::int64_t>(info.f_bfree) * block,
          static_cast<std::int64_t>(info.f_favail)};
}

}  // namespace buildwarden::testing
