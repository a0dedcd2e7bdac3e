#include "daemon/evictors/trash_folders.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "common/beneath.h"
#include "common/format.h"
#include "common/mounts.h"
#include "common/trash.h"
#include "daemon/evictors/deadlines.h"
#include "daemon/evictors/eviction_result.h"
#include "daemon/evictors/set_aside_mirror.h"

namespace buildwarden::disk {
namespace {

using Leftover = TrashFolders::Leftover;

constexpr std::uint64_t kMostLeftEntries = 2'000'000;
constexpr std::size_t kMostLeftovers = 1'000'000;    // in one folder
constexpr std::string_view kSetAside = ".damaged-";  // as the state room names them

Result<int> folder_of(const Leftover& leftover) {
  return leftover.thrown_away ? leftover.root->trash(false) : Result<int>(leftover.root->folder());
}

std::string path_of(const Leftover& leftover) {
  if (!leftover.thrown_away) return format("{}/{}", leftover.root->path(), leftover.name);
  return format("{}/{}/{}", leftover.root->path(), kTrashName, leftover.name);
}

// What lies there and is wanted, with its size; what cannot be opened has nothing.
void look_into(const Leftover& like, const std::stop_token& stop, std::vector<Leftover>& found) {
  const auto folder = folder_of(like);
  const auto names = folder ? entries_of(*folder, path_of(like), kMostLeftovers) : folder.error();
  if (!names) return;
  for (const auto& [name, type] : *names) {
    if (like.thrown_away && is_set_aside_mirror(name)) continue;  // GitMirrors asks who needs it, and takes it
    auto leftover = like;
    leftover.name = name;
    auto look = look_through(*folder, name, kMostLeftEntries, stop);
    if (!look) continue;
    leftover.look = *look;
    found.push_back(std::move(leftover));
  }
}

// Files alone: no folder was ever set aside.
bool is_set_aside(const Leftover& leftover) {
  struct stat info{};
  return leftover.name.find(kSetAside) != std::string::npos &&
         ::fstatat(leftover.root->folder(), leftover.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
         !S_ISDIR(info.st_mode);
}

std::vector<Leftover> look_for_leftovers(const std::vector<std::string>& trashed, const std::string& state,
                                         const std::stop_token& stop) {
  std::vector<Leftover> found;
  for (const auto& folder : trashed) {
    Leftover like;
    like.thrown_away = true;
    if (auto root = DeletionRoot::open(folder)) {
      like.root = *std::move(root);
      look_into(like, stop, found);
    }
  }
  if (auto root = DeletionRoot::open(state)) {
    Leftover like;
    like.root = *std::move(root);
    std::vector<Leftover> all;
    look_into(like, stop, all);
    std::erase_if(all, [](const auto& one) { return !is_set_aside(one); });
    found.insert(found.end(), all.begin(), all.end());
  }
  return found;
}

Result<ports::EvictionResult> remove_leftover(const Leftover& leftover, const std::stop_token& stop) {
  const auto folder = folder_of(leftover);
  if (!folder) return dropped(folder.error().message());
  RemovalOptions options;
  options.stop = stop;
  auto removed = remove_tree_in(*folder, leftover.name, leftover.look.identity, options);
  if (!removed) {
    const auto code = removed.error().code();
    if (code == Errc::kNotFound || code == Errc::kConflict) return dropped(removed.error().message());
    return std::move(removed).error();
  }
  if (removed->removed == 0) return dropped(removed->stopped ? "the daemon stops" : removed->first_error);
  ports::EvictionResult taken;
  taken.reported = removed->bytes;
  return taken;
}

}  // namespace

bool TrashFolders::frees(const ports::FilesystemSnapshot& filesystem) const {
  const auto& paths = parts_.settings.paths;
  return filesystem.has_role("cache_dirs") || filesystem.has_path(paths.state) || filesystem.has_path(paths.builds) ||
         filesystem.has_path(paths.git_mirrors);
}

ports::Async<std::vector<policy::Candidate>> TrashFolders::list(const policy::RungTurn&) { return list_leftovers(); }

ports::Async<ports::EvictionResult> TrashFolders::evict(const policy::Candidate& candidate, const policy::RungTurn&) {
  return evict_planned(candidate);
}

ports::Async<std::vector<policy::Candidate>> TrashFolders::list_leftovers() {
  forget_list();
  auto trashed = parts_.settings.disk.cache_dirs;
  trashed.push_back(parts_.settings.paths.builds);
  trashed.push_back(parts_.settings.paths.git_mirrors);
  std::function<Result<std::vector<Leftover>>()> work = [trashed, state = parts_.settings.paths.state,
                                                         stop = stop_.get_token()] {
    return Result<std::vector<Leftover>>(look_for_leftovers(trashed, state, stop));
  };
  auto found = co_await parts_.workers.compute<std::vector<Leftover>>(work, kLookDeadline);
  if (!found) co_return std::move(found).error();
  const Now now = parts_.clock.now();
  std::vector<policy::Candidate> candidates;
  for (auto& leftover : *found) {
    policy::Candidate candidate;
    candidate.id = path_of(leftover);
    candidate.name = format("{} {}", leftover.thrown_away ? "trash" : "damaged state", candidate.id);
    candidate.size = leftover.look.bytes;
    candidate.device = device_label(leftover.look.identity.device);
    candidate.last_use.at = leftover.look.changed;
    candidate.last_use.observed = std::max(Duration{0}, now.wall - leftover.look.changed);
    candidate.thrown_away = leftover.thrown_away;
    planned_.emplace(candidate.id, std::move(leftover));
    candidates.push_back(std::move(candidate));
  }
  co_return candidates;
}

ports::Async<ports::EvictionResult> TrashFolders::evict_planned(policy::Candidate candidate) {
  const auto planned = planned_.find(candidate.id);
  if (planned == planned_.end()) co_return dropped("it is not of the last plan");
  std::function<Result<ports::EvictionResult>()> work = [leftover = planned->second, stop = stop_.get_token()] {
    return remove_leftover(leftover, stop);
  };
  co_return co_await parts_.workers.compute<ports::EvictionResult>(work, kRemoveDeadline);
}

}  // namespace buildwarden::disk
