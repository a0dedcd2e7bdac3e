#include "daemon/evictors/cache_dir_scan.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "common/beneath.h"
#include "common/folder_users.h"
#include "common/format.h"
#include "common/mounts.h"
#include "common/system_folders.h"
#include "common/trash.h"
#include "daemon/evictors/eviction_result.h"

namespace buildwarden::disk {
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMostEntries = 2'000'000;  // of one cache
constexpr std::size_t kMostCaches = 100'000;       // in one folder

std::string spared(const std::string& path, const std::vector<std::string>& never) {
  for (const auto& other : never) {
    if (overlap(path, other)) return format("{} lies there", other);
  }
  return "";
}

// Each as it is written, and without the links that can be resolved: for comparing, never for opening.
std::vector<std::string> with_and_without_links(const std::vector<std::string>& paths) {
  auto all = paths;
  for (const auto& path : paths) {
    std::error_code error;
    const auto real = fs::weakly_canonical(path, error);
    if (!error) all.push_back(real.string());
  }
  return all;
}

using Roots = std::vector<std::shared_ptr<DeletionRoot>>;

using Wanted = std::function<bool(std::string_view)>;

struct Looked {
  const std::stop_token& stop;
  const Wanted& wanted;  // may be empty
};

Result<void> look_into(const std::shared_ptr<DeletionRoot>& root, const std::vector<std::string>& never,
                       const Looked& how, std::vector<CacheEntry>& entries) {
  const auto names = entries_of(root->folder(), root->path(), kMostCaches);
  if (!names) return names.error();
  for (const auto& [name, type] : *names) {
    if (name == kTrashName || (how.wanted && !how.wanted(name))) continue;
    CacheEntry entry;
    entry.root = root;
    entry.name = name;
    auto look = look_through(root->folder(), name, kMostEntries, how.stop);
    if (!look && look.error().code() == Errc::kNotFound) continue;
    if (look) entry.look = *look;
    // Such as a mount by FUSE, which shows itself to nobody but its owner. The others are seen.
    if (!look) entry.spared = look.error().message();
    if (look && !entry.look.complete)
      entry.spared = format("only {} entries of it could be looked at", entry.look.entries);
    if (entry.look.has_mount) entry.spared = "something is mounted in it";
    if (auto why = spared(entry.path(), never); !why.empty()) entry.spared = std::move(why);
    entries.push_back(std::move(entry));
  }
  return {};
}

// Each folder once, by whatever path it is named.
Roots open_roots(const std::vector<std::string>& folders, std::map<std::string, std::string>& refused) {
  Roots roots;
  for (const auto& folder : folders) {
    auto root = DeletionRoot::open(folder);
    if (!root) {
      const auto code = root.error().code();
      if (code != Errc::kNotFound && code != Errc::kInvalid) refused[folder] = root.error().message();
      continue;
    }
    const auto same = [&root](const auto& one) { return one->path() == (*root)->path(); };
    if (std::none_of(roots.begin(), roots.end(), same)) roots.push_back(*std::move(root));
  }
  return roots;
}

Result<void> note_users(std::vector<CacheEntry>& entries) {
  std::vector<std::string> paths;
  for (const auto& entry : entries) paths.push_back(entry.path());
  const auto users = folder_users(paths);
  if (!users) return users.error();
  for (auto& entry : entries) {
    const auto user = users->find(entry.path());
    if (user != users->end()) entry.user = user->second;
  }
  return {};
}

}  // namespace

policy::Candidate entry_candidate(const CacheEntry& entry, std::string name, Now now) {
  policy::Candidate candidate;
  candidate.id = entry.path();
  candidate.name = std::move(name);
  candidate.size = entry.look.bytes;
  candidate.device = device_label(entry.look.identity.device);
  candidate.last_use.at = entry.look.changed;
  candidate.last_use.observed = std::max(Duration{0}, now.wall - entry.look.changed);
  candidate.in_use_by = entry.user;
  candidate.protected_as = entry.spared;
  return candidate;
}

policy::Candidate refused_candidate(std::string name, const std::string& why) {
  policy::Candidate candidate;
  candidate.id = candidate.name = std::move(name);
  candidate.protected_as = why;
  return candidate;
}

Result<CachesSeen> look_at_caches(const std::vector<std::string>& folders, const std::vector<std::string>& never,
                                  const std::stop_token& stop, const Wanted& wanted) {
  CachesSeen seen;
  const auto roots = open_roots(folders, seen.refused);
  const auto stays = with_and_without_links(never);
  for (const auto& root : roots) {
    auto others = stays;
    for (const auto& other : roots) {
      if (other != root && lies_in(other->path(), root->path())) others.push_back(other->path());
    }
    // One folder that cannot be looked at hides no other one.
    if (auto looked = look_into(root, others, {stop, wanted}, seen.entries); !looked) {
      seen.refused[root->path()] = looked.error().message();
    }
  }
  if (auto noted = note_users(seen.entries); !noted) return std::move(noted).error();
  return seen;
}

Result<std::string> changed_since(const CacheEntry& entry, const std::stop_token& stop) {
  const auto look = look_through(entry.root->folder(), entry.name, kMostEntries, stop);
  if (!look && look.error().code() == Errc::kNotFound) return std::string("already gone");
  if (!look) return look.error();
  if (look->identity != entry.look.identity) return std::string("another one has its name now");
  if (!look->complete || look->has_mount) return std::string("it cannot be looked through any more");
  // The kernel's stamps have the grain of its tick, so the numbers count as well.
  const auto& then = entry.look;
  if (look->changed != then.changed || look->entries != then.entries || look->bytes != then.bytes)
    return format("changed since the plan, at {}", format_rfc3339(look->changed));
  auto users = folder_users({entry.path()});
  if (!users) return std::move(users).error();
  return users->empty() ? std::string() : format("in use by {}", users->begin()->second);
}

Result<ports::EvictionResult> remove_cache(const CacheEntry& entry, const std::stop_token& stop) {
  auto reason_to_keep = changed_since(entry, stop);
  if (!reason_to_keep) return std::move(reason_to_keep).error();
  if (!reason_to_keep->empty()) return dropped(*std::move(reason_to_keep));
  const auto there = entry.root->throw_away(entry.root->folder(), entry.name, entry.look.identity);
  // A trash that is not ours keeps all that is there, and nobody else's from being looked at.
  const bool refused = !there && (there.error().code() == Errc::kConflict || there.error().code() == Errc::kDenied);
  if (refused) return dropped(there.error().message());
  if (!there) return there.error();
  return remove_thrown(entry, *there, stop);
}

Result<ports::EvictionResult> remove_thrown(const CacheEntry& entry, const std::string& name,
                                            const std::stop_token& stop) {
  RemovalOptions options;
  options.stop = stop;
  auto removed = entry.root->remove_thrown(name, entry.look.identity, options);
  if (!removed) return std::move(removed).error();
  if (removed->removed == 0) return dropped(removed->stopped ? "the daemon stops" : removed->first_error);
  ports::EvictionResult taken;
  taken.reported = removed->bytes;
  return taken;
}

}  // namespace buildwarden::disk
