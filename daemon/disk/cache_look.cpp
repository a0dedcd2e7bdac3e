#include "daemon/disk/cache_look.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "common/folder_users.h"
#include "common/format.h"
#include "common/trash.h"
#include "daemon/disk/engine_answers.h"

namespace buildwarden::disk {
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMostEntries = 2'000'000;  // of one cache

bool above_or_same(std::string_view above, std::string_view path) {
  return path.starts_with(above) && (path.size() == above.size() || path[above.size()] == '/');
}

std::string spared(const std::string& path, const std::vector<std::string>& never) {
  for (const auto& other : never) {
    if (above_or_same(path, other) || above_or_same(other, path)) return format("{} lies there", other);
  }
  return "";
}

std::vector<std::string> without_links(const std::vector<std::string>& paths) {
  std::vector<std::string> all;
  for (const auto& path : paths) {
    std::error_code error;
    const auto real = fs::weakly_canonical(path, error);
    all.push_back(error ? path : real.string());
  }
  return all;
}

Result<void> look_into(const std::string& folder, const std::vector<std::string>& never, const std::stop_token& stop,
                       std::vector<CacheEntry>& entries) {
  std::error_code error;
  for (fs::directory_iterator item(folder, error), end; !error && item != end; item.increment(error)) {
    CacheEntry entry;
    entry.folder = folder;
    entry.name = item->path().filename().string();
    if (entry.name == kTrashName) continue;
    auto look = look_through(folder, entry.name, kMostEntries, stop);
    if (!look && look.error().code() == Errc::kNotFound) continue;
    if (!look) return std::move(look).error();
    entry.look = *look;
    if (!entry.look.complete) entry.spared = format("only {} entries of it could be looked at", entry.look.entries);
    if (entry.look.has_mount) entry.spared = "something is mounted in it";
    if (auto why = spared(entry.path(), never); !why.empty()) entry.spared = std::move(why);
    entries.push_back(std::move(entry));
  }
  if (error) return Error(Errc::kIo, format("read {}: {}", folder, error.message()));
  return {};
}

}  // namespace

Result<std::vector<CacheEntry>> look_at_caches(const std::vector<std::string>& folders,
                                               const std::vector<std::string>& never, const std::stop_token& stop) {
  std::vector<CacheEntry> entries;
  auto real_folders = without_links(folders);
  std::sort(real_folders.begin(), real_folders.end());
  real_folders.erase(std::unique(real_folders.begin(), real_folders.end()), real_folders.end());
  auto stays = without_links(never);
  for (const auto& folder : real_folders) {
    std::error_code error;
    if (!fs::is_directory(folder, error)) continue;
    auto others = stays;
    for (const auto& other : real_folders) {
      if (other != folder && above_or_same(folder, other)) others.push_back(other);
    }
    if (auto looked = look_into(folder, others, stop, entries); !looked) return std::move(looked).error();
  }
  std::vector<std::string> paths;
  for (const auto& entry : entries) paths.push_back(entry.path());
  auto users = folder_users(paths);
  if (!users) return std::move(users).error();
  for (auto& entry : entries) {
    const auto user = users->find(entry.path());
    if (user != users->end()) entry.user = user->second;
  }
  return entries;
}

Result<std::string> changed_since(const CacheEntry& entry, const std::stop_token& stop) {
  const auto look = look_through(entry.folder, entry.name, kMostEntries, stop);
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

Result<ports::Rung::Taken> remove_cache(const CacheEntry& entry, const std::stop_token& stop) {
  auto speaks_for_it = changed_since(entry, stop);
  if (!speaks_for_it) return std::move(speaks_for_it).error();
  if (!speaks_for_it->empty()) return dropped(*std::move(speaks_for_it));
  const auto there = throw_away(entry.folder, entry.name, entry.look.identity);
  if (!there && there.error().code() == Errc::kConflict) return dropped(there.error().message());
  if (!there) return there.error();
  const auto trash = format("{}/{}", entry.folder, kTrashName);
  auto removed = remove_tree(trash, *there, entry.look.identity, stop);
  if (!removed) return std::move(removed).error();
  if (removed->removed == 0) return dropped(removed->stopped ? "the daemon stops" : removed->first_error);
  ports::Rung::Taken taken;
  taken.reported = removed->bytes;
  return taken;
}

}  // namespace buildwarden::disk
