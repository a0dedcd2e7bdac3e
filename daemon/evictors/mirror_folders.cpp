#include "daemon/evictors/mirror_folders.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <utility>

#include "common/beneath.h"
#include "common/format.h"
#include "common/system_folders.h"
#include "common/unique_fd.h"
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

// Who holds one of the locks that are there while they are held; "" nobody.
std::string holder_of_existing(const CacheEntry& mirror) {
  for (const auto& suffix : kHeldByExisting) {
    const auto name = mirror.name + std::string(suffix);
    if (is_held(mirror.root->folder(), name)) return format("whoever holds {}", name);
  }
  return "";
}

std::vector<std::string> locks_of(const CacheEntry& mirror) {
  std::vector<std::string> locks;
  for (const auto& suffix : kHeldByFlock) locks.push_back(mirror.path() + std::string(suffix));
  return locks;
}

bool is_mirror(int folder, const std::string& name) {
  const auto mirror = open_beneath(folder, name.c_str(), O_RDONLY | O_DIRECTORY);
  struct stat head{};
  return mirror.open() && ::fstatat(mirror.get(), "HEAD", &head, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(head.st_mode) &&
         open_beneath(mirror.get(), "objects", O_RDONLY | O_DIRECTORY).open();
}

}  // namespace

Result<std::map<std::string, std::string>> lock_holders(const std::vector<CacheEntry>& mirrors,
                                                        const FolderUsers& users) {
  std::map<std::string, std::string> mirror_by_lock;
  std::vector<std::string> locks;
  std::map<std::string, std::string> holders;
  for (const auto& mirror : mirrors) {
    if (auto holder = holder_of_existing(mirror); !holder.empty()) holders[mirror.path()] = std::move(holder);
    for (auto& lock : locks_of(mirror)) {
      locks.push_back(lock);
      mirror_by_lock[std::move(lock)] = mirror.path();
    }
  }
  const auto found = users(locks);
  if (!found) return found.error();
  for (const auto& [lock, user] : *found) {
    holders.try_emplace(mirror_by_lock[lock], format("{}, which has its lock", user));
  }
  return holders;
}

Result<std::string> mirror_user(const CacheEntry& mirror, const std::string& path) {
  if (auto holder = holder_of_existing(mirror); !holder.empty()) return holder;
  auto places = locks_of(mirror);
  places.push_back(path);
  const auto users = folder_users(places);
  if (!users) return users.error();
  return users->empty() ? std::string() : users->begin()->second;
}

Result<CachesSeen> look_at_mirrors(const std::string& folder, const std::stop_token& stop, const FolderUsers& users) {
  auto seen = look_at_caches({folder}, {kSystemFolders.begin(), kSystemFolders.end()}, stop, policy::is_mirror_name);
  if (!seen) return seen;
  std::erase_if(seen->entries, [](const CacheEntry& one) { return !is_mirror(one.root->folder(), one.name); });
  if (stop.stop_requested())
    return Error(Errc::kCancelled, format("the look at the mirrors in {} was stopped", folder));
  const auto holders = lock_holders(seen->entries, users);
  if (!holders) return holders.error();
  for (auto& entry : seen->entries) {
    const auto holder = holders->find(entry.path());
    if (entry.user.empty() && holder != holders->end()) entry.user = holder->second;
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

}  // namespace buildwarden::disk
