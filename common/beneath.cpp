#include "common/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <cerrno>

#include "common/format.h"

namespace buildwarden {

Result<void> check_component(const std::string& name) {
  const bool component = !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
                         name.find('\0') == std::string::npos;
  if (!component) return Error(Errc::kInvalid, format("\"{}\" is not the name of something in a folder", name));
  return {};
}

UniqueFd open_beneath(int folder, const char* name, int flags) {
  open_how how{};
  how.flags = static_cast<__u64>(flags) | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  // EAGAIN: something was renamed meanwhile, so the kernel cannot be sure that it is still beneath.
  for (int attempt = 0; attempt < 8; ++attempt) {
    const auto opened = ::syscall(SYS_openat2, folder, name, &how, sizeof how);
    if (opened >= 0 || (errno != EAGAIN && errno != EINTR)) return UniqueFd(static_cast<int>(opened));
  }
  return UniqueFd();
}

Result<UniqueFd> open_folder(const std::string& path) {
  UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.open()) return Error::from_errno(errno, format("open the folder {}", path));
  return folder;
}

}  // namespace buildwarden
