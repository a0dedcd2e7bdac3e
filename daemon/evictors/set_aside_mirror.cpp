#include "daemon/evictors/set_aside_mirror.h"

#include <stdio.h>

#include <cerrno>
#include <utility>

#include "common/beneath.h"
#include "common/format.h"
#include "common/log.h"
#include "daemon/evictors/eviction_result.h"
#include "daemon/evictors/mirror_folders.h"

namespace buildwarden::disk {

SetAsideMirror::SetAsideMirror(SetAsideMirror&& other) noexcept
    : entry_(std::move(other.entry_)),
      why_kept_(std::move(other.why_kept_)),
      in_trash_(std::exchange(other.in_trash_, {})) {}

SetAsideMirror::~SetAsideMirror() {
  if (in_trash_.empty()) return;
  if (const auto back = put_back("nobody went on with its removal"); !back) log_warning(back.error().message());
}

Result<SetAsideMirror> SetAsideMirror::set_aside(const CacheEntry& entry, const std::stop_token& stop) {
  SetAsideMirror mirror(entry);
  const auto holders = lock_holders({entry});
  if (!holders) return holders.error();
  if (!holders->empty()) {
    mirror.why_kept_ = format("in use by {}", holders->begin()->second);
    return mirror;
  }
  auto why_kept = changed_since(entry, stop);
  if (!why_kept) return std::move(why_kept).error();
  mirror.why_kept_ = *std::move(why_kept);
  if (!mirror.why_kept_.empty()) return mirror;
  auto there = entry.root->throw_away(entry.root->folder(), entry.name, entry.look.identity);
  if (there) {
    mirror.in_trash_ = *std::move(there);
  } else {
    mirror.why_kept_ = there.error().message();
  }
  return mirror;
}

Result<ports::EvictionResult> SetAsideMirror::put_back(const std::string& why) {
  const auto name = std::exchange(in_trash_, {});
  const auto trash = entry_.root->trash(false);
  if (!trash) return trash.error();
  if (::renameat2(*trash, name.c_str(), entry_.root->folder(), entry_.name.c_str(), RENAME_NOREPLACE) != 0) {
    return Error::from_errno(errno, format("put {} back ({})", entry_.path(), why));
  }
  return dropped(format("{}; it was put back", why));
}

// Who uses it there, or has its lock meanwhile; "" nobody.
Result<std::string> SetAsideMirror::user_in_trash(int trash) const {
  const auto path = path_of(trash);
  if (!path) return path.error();
  return mirror_user(entry_, format("{}/{}", *path, in_trash_));
}

Result<ports::EvictionResult> SetAsideMirror::remove(const std::stop_token& stop) {
  if (stop.stop_requested()) return put_back("the daemon stops");
  const auto trash = entry_.root->trash(false);
  if (!trash) return trash.error();
  const auto user = user_in_trash(*trash);
  if (!user) return put_back(user.error().message());
  if (!user->empty()) return put_back(format("in use by {}", *user));
  const auto name = std::exchange(in_trash_, {});
  return remove_thrown(entry_, name, stop);
}

}  // namespace buildwarden::disk
