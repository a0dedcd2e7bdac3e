#include "common/beneath.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <functional>
#include <memory>
#include <random>
#include <string_view>

#include "common/format.h"

namespace buildwarden {
namespace {

constexpr std::size_t kMostSeen = 1'000'000;  // entries of a folder that is seen in parts

// Until `take` says false.
Result<void> for_each_entry(int folder, const std::string& where, const std::function<bool(const dirent&)>& take) {
  auto again = open_beneath(folder, ".", O_RDONLY | O_DIRECTORY);
  if (!again.open()) return Error::from_errno(errno, format("read {}", where));
  struct Close {
    void operator()(DIR* open) const { ::closedir(open); }
  };
  const std::unique_ptr<DIR, Close> stream(::fdopendir(again.get()));
  if (!stream) return Error::from_errno(errno, format("read {}", where));
  again.release();
  for (;;) {
    errno = 0;
    const auto* entry = ::readdir(stream.get());  // NOLINT(concurrency-mt-unsafe): a stream of our own
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && !take(*entry)) return {};
  }
  if (errno != 0) return Error::from_errno(errno, format("read {}", where));
  return {};
}

}  // namespace

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

Result<std::vector<FolderEntry>> entries_of(int folder, const std::string& where, std::size_t most) {
  std::vector<FolderEntry> entries;
  bool fits = true;
  const auto read = for_each_entry(folder, where, [&](const dirent& entry) {
    fits = entries.size() < most;
    if (fits) entries.push_back({entry.d_name, entry.d_type});
    return fits;
  });
  if (!read) return read.error();
  if (!fits) return Error(Errc::kTooLarge, format("{} has more than {} entries", where, most));
  return entries;
}

// Algorithm R (Vitter 1985): each has the same chance.
Result<SomeEntries> some_entries_of(int folder, const std::string& where, std::size_t most) {
  SomeEntries some;
  std::minstd_rand chance(std::random_device{}());
  const auto read = for_each_entry(folder, where, [&](const dirent& entry) {
    ++some.all;
    if (some.entries.size() < most) {
      some.entries.push_back({entry.d_name, entry.d_type});
      return true;
    }
    const auto at = std::uniform_int_distribution<std::size_t>(0, some.all - 1)(chance);
    if (at < most) some.entries[at] = {entry.d_name, entry.d_type};
    return some.all < kMostSeen;
  });
  if (!read) return read.error();
  return some;
}

Result<std::string> path_of(int descriptor) {
  constexpr std::string_view kGone = " (deleted)";
  std::array<char, PATH_MAX> text{};
  const auto link = format("/proc/self/fd/{}", descriptor);
  const auto size = ::readlink(link.c_str(), text.data(), text.size());
  if (size < 0) return Error::from_errno(errno, format("read {}", link));
  std::string path(text.data(), static_cast<std::size_t>(size));
  if (path.ends_with(kGone)) return Error(Errc::kNotFound, format("{} has no name any more", path));
  return path;
}

}  // namespace buildwarden
