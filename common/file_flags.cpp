#include "common/file_flags.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "common/beneath.h"
#include "common/format.h"
#include "common/unique_fd.h"

namespace buildwarden {
namespace {

constexpr unsigned kProtection = FS_IMMUTABLE_FL | FS_APPEND_FL;

// The kernel reads and writes an int, whatever the request's number says.
int get_flags(int descriptor, unsigned& flags) { return ::ioctl(descriptor, FS_IOC_GETFLAGS, &flags); }

}  // namespace

bool clear_protection(int descriptor) {
  unsigned flags = 0;
  if (get_flags(descriptor, flags) != 0 || (flags & kProtection) == 0) return false;
  flags &= ~kProtection;
  return ::ioctl(descriptor, FS_IOC_SETFLAGS, &flags) == 0;
}

bool clear_protection_of(int folder, const std::string& name) {
  const auto found = open_beneath(folder, name.c_str(), O_PATH);
  struct stat what{};
  if (!found.open() || ::fstat(found.get(), &what) != 0) return false;
  const bool file = S_ISREG(what.st_mode) && what.st_nlink == 1;
  if (!file && !S_ISDIR(what.st_mode)) return false;
  // Through the descriptor, so that it is the very file that was looked at.
  const auto path = format("/proc/self/fd/{}", found.get());
  const UniqueFd opened(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  return opened.open() && clear_protection(opened.get());
}

}  // namespace buildwarden
