#include "daemon/evictors/mirror_folders.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <utility>

#include "common/beneath.h"
#include "common/folder_users.h"
#include "common/format.h"
#include "common/system_folders.h"
#include "common/unique_fd.h"
#include "daemon/evictors/eviction_result.h"
#include "daemon/policy/mirrors.h"

namespace buildwarden::disk {
namespace {

// The agent's locks stand beside a mirror. Those of today stay there for ever and are held by flock(2), so who has one
// open holds it or waits for it; older agents' were there while they were held, with the number of the process in them
// (agent, internal/shell: LockFile).
constexpr std::array<std::string_view, 2> kHeldByFlock = {".clonelockf", ".updatelockf"};
constexpr std::array<std::string_view, 2> kHeldByExisting = {".clonelock", ".updatelock"};

// Whether the process that is named in the lock lives; one that cannot be read is held.
bool is_held(int folder, const std::string& name) {
  const auto file = open_beneath(folder, name.c_str(), O_RDONLY | O_NONBLOCK);
  if (!file.open()) return errno != ENOENT;
  std::array<char, 32> text{};
  const auto got = ::read(file.get(), text.data(), text.size());
  pid_t process = 0;
  if (got <= 0 || std::from_chars(text.data(), text.data() + got, process).ec != std::errc{} || process <= 0)
    return true;
  return ::kill(process, 0) == 0 || errno != ESRCH;
}

// By whom the locks are held; "" by nobody. `at`: where the mirror was.
Result<std::string> lock_holder(const CacheEntry& entry) {
  for (const auto& suffix : kHeldByExisting) {
    const auto name = entry.name + std::string(suffix);
    if (is_held(entry.root->folder(), name)) return format("whoever holds {}", name);
  }
  std::vector<std::string> locks;
  for (const auto& suffix : kHeldByFlock) locks.push_back(entry.path() + std::string(suffix));
  const auto users = folder_users(locks);
  if (!users) return users.error();
  return users->empty() ? std::string() : format("{}, which has its lock", users->begin()->second);
}

bool is_mirror(int folder, const std::string& name) {
  const auto mirror = open_beneath(folder, name.c_str(), O_RDONLY | O_DIRECTORY);
  struct stat head{};
  return mirror.open() && ::fstatat(mirror.get(), "HEAD", &head, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(head.st_mode) &&
         open_beneath(mirror.get(), "objects", O_RDONLY | O_DIRECTORY).open();
}

// Who uses it in the trash, or has its lock meanwhile; "" nobody.
Result<std::string> user_in_trash(const CacheEntry& entry, int trash, const std::string& name) {
  auto holder = lock_holder(entry);
  if (!holder || !holder->empty()) return holder;
  const auto path = path_of(trash);
  if (!path) return path.error();
  const auto users = folder_users({format("{}/{}", *path, name)});
  if (!users) return users.error();
  return users->empty() ? std::string() : users->begin()->second;
}

}  // namespace

Result<CachesSeen> look_at_mirrors(const std::string& folder, const std::stop_token& stop) {
  auto seen = look_at_caches({folder}, {kSystemFolders.begin(), kSystemFolders.end()}, stop, policy::is_mirror_name);
  if (!seen) return seen;
  std::erase_if(seen->entries, [](const CacheEntry& one) { return !is_mirror(one.root->folder(), one.name); });
  for (auto& entry : seen->entries) {
    if (!entry.user.empty()) continue;
    auto holder = lock_holder(entry);
    if (!holder) return std::move(holder).error();
    entry.user = *std::move(holder);
  }
  return seen;
}

std::string needed_by(const std::string& mirror, const ports::MirrorUses& uses) {
  const auto user =
      std::find_if(uses.borrowed.begin(), uses.borrowed.end(),
                   [&mirror](const ports::BorrowedObjects& one) { return policy::may_lie_in(one.from, mirror); });
  if (user != uses.borrowed.end()) return format("{}, which reads its objects", user->checkout);
  return uses.any_by;
}

Result<ports::EvictionResult> remove_mirror(const CacheEntry& entry, const std::stop_token& stop) {
  auto holder = lock_holder(entry);
  if (!holder) return std::move(holder).error();
  if (!holder->empty()) return dropped(format("in use by {}", *holder));
  auto why_kept = changed_since(entry, stop);
  if (!why_kept) return std::move(why_kept).error();
  if (!why_kept->empty()) return dropped(*std::move(why_kept));
  const auto& root = *entry.root;
  const auto there = entry.root->throw_away(root.folder(), entry.name, entry.look.identity);
  if (!there) return dropped(there.error().message());
  const auto trash = entry.root->trash(false);
  if (!trash) return trash.error();
  const auto user = user_in_trash(entry, *trash, *there);
  if (!user || !user->empty()) {
    const auto why = user ? format("in use by {}", *user) : user.error().message();
    if (::renameat2(*trash, there->c_str(), root.folder(), entry.name.c_str(), RENAME_NOREPLACE) != 0) {
      return Error::from_errno(errno, format("put {} back ({})", entry.path(), why));
    }
    return dropped(format("{}; it was put back", why));
  }
  return remove_thrown(entry, *there, stop);
}

}  // namespace buildwarden::disk
