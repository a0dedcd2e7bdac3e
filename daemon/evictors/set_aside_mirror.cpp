#include "daemon/evictors/set_aside_mirror.h"

#include <stdio.h>

#include <cerrno>
#include <utility>

#include "common/beneath.h"
#include "common/format.h"
#include "common/log.h"
#include "common/trash.h"
#include "daemon/evictors/eviction_result.h"
#include "daemon/evictors/mirror_folders.h"

namespace buildwarden::disk {
namespace {

// Between its name in the trash and that of the mirror, until its removal begins.
constexpr std::string_view kSetAsideMark = ".set-aside.";
constexpr std::size_t kMostInTrash = 1'000'000;

std::string unmarked(std::string_view name) { return std::string(name.substr(0, name.find(kSetAsideMark))); }

bool rename_new(int from, const std::string& name, int to, const std::string& other) {
  return ::renameat2(from, name.c_str(), to, other.c_str(), RENAME_NOREPLACE) == 0;
}

}  // namespace

bool is_set_aside_mirror(std::string_view name_in_trash) {
  return name_in_trash.find(kSetAsideMark) != std::string_view::npos;
}

Result<std::vector<std::string>> put_back_set_aside(const std::string& folder) {
  std::vector<std::string> back;
  const auto root = DeletionRoot::open(folder);
  const auto trash = root ? (*root)->trash(false) : root.error();
  if (!trash && trash.error().code() == Errc::kNotFound) return back;
  if (!trash) return trash.error();
  const auto names = entries_of(*trash, format("{}/{}", folder, kTrashName), kMostInTrash);
  if (!names) return names.error();
  for (const auto& [name, type] : *names) {
    if (!is_set_aside_mirror(name)) continue;
    auto mirror = name.substr(name.find(kSetAsideMark) + kSetAsideMark.size());
    const bool is_back = rename_new(*trash, name, (*root)->folder(), mirror);
    if (is_back) back.push_back(std::move(mirror));
    if (!is_back && (errno != EEXIST || !rename_new(*trash, name, *trash, unmarked(name)))) {
      return Error::from_errno(errno, format("put {} in {}/{} back", name, folder, kTrashName));
    }
  }
  return back;
}

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
  const auto label = std::string(kSetAsideMark) + entry.name;
  auto there = entry.root->throw_away(entry.root->folder(), entry.name, entry.look.identity, label);
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
  // From here on it is no mirror any more that could come back.
  const auto name = unmarked(in_trash_);
  if (!rename_new(*trash, in_trash_, *trash, name)) {
    return put_back(Error::from_errno(errno, "begin its removal").message());
  }
  in_trash_.clear();
  return remove_thrown(entry_, name, stop);
}

}  // namespace buildwarden::disk
