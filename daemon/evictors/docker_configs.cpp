#include "daemon/evictors/docker_configs.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "common/beneath.h"
#include "common/folder_users.h"
#include "common/format.h"
#include "common/mounts.h"
#include "daemon/evictors/deadlines.h"
#include "daemon/evictors/eviction_result.h"

namespace buildwarden::disk {
namespace {

using Found = DockerConfigs::Found;

constexpr std::uint64_t kMostJobEntries = 200'000;  // credentials and buildx's notes

// The folders that they lie in, each opened once: /tmp, mostly. Nothing for one that somebody else could exchange.
class Parents {
 public:
  std::shared_ptr<DeletionRoot> of(const std::string& path) {
    const auto slash = path.rfind('/');
    const auto parent = slash == 0 || slash == std::string::npos ? std::string("/") : path.substr(0, slash);
    auto known = roots_.find(parent);
    if (known == roots_.end()) {
      auto root = DeletionRoot::open(parent);
      known = roots_.emplace(parent, root ? *std::move(root) : nullptr).first;
    }
    return known->second;
  }

 private:
  std::map<std::string, std::shared_ptr<DeletionRoot>> roots_;
};

// What is in it besides docker's own: then somebody keeps something else there.
bool is_dockers(const CacheEntry& entry) {
  if (entry.look.entries <= 1) return true;
  const auto folder = open_beneath(entry.root->folder(), entry.name.c_str(), O_RDONLY | O_DIRECTORY);
  struct stat info{};
  return folder.open() && (::fstatat(folder.get(), "config.json", &info, AT_SYMLINK_NOFOLLOW) == 0 ||
                           ::fstatat(folder.get(), "buildx", &info, AT_SYMLINK_NOFOLLOW) == 0);
}

// Whether it is still the very folder that the job had.
bool is_the_same(const ports::JobFolder& folder, const CacheEntry& entry) {
  struct stat info{};
  return ::fstatat(entry.root->folder(), entry.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISDIR(info.st_mode) && info.st_dev == folder.device && info.st_ino == folder.inode &&
         info.st_uid == folder.uid;
}

Found look_at(const ports::JobFolder& folder, Parents& parents, const std::stop_token& stop) {
  Found found;
  found.folder = folder;
  found.entry.root = parents.of(folder.path);
  found.entry.name = folder.path.substr(folder.path.rfind('/') + 1);
  found.gone = !found.entry.root || !is_the_same(folder, found.entry);
  if (found.gone) return found;
  auto look = look_through(found.entry.root->folder(), found.entry.name, kMostJobEntries, stop);
  if (!look) {
    found.entry.spared = look.error().message();
    return found;
  }
  found.entry.look = *look;
  found.gone = look->identity != TreeIdentity{static_cast<dev_t>(folder.device), static_cast<ino_t>(folder.inode)};
  if (!look->complete) found.entry.spared = format("only {} entries of it could be looked at", look->entries);
  if (look->has_mount) found.entry.spared = "something is mounted in it";
  if (!is_dockers(found.entry)) found.entry.spared = "it does not look like a folder of docker's";
  return found;
}

Result<std::vector<Found>> look_at_all(const std::vector<ports::JobFolder>& folders, const std::stop_token& stop) {
  Parents parents;
  std::vector<Found> all;
  std::vector<std::string> paths;
  for (const auto& folder : folders) {
    all.push_back(look_at(folder, parents, stop));
    if (!all.back().gone) paths.push_back(all.back().entry.path());
  }
  if (paths.empty()) return all;
  auto users = folder_users(paths);
  if (!users) return std::move(users).error();
  for (auto& found : all) {
    const auto user = found.gone ? users->end() : users->find(found.entry.path());
    if (user != users->end()) found.entry.user = user->second;
  }
  return all;
}

Result<ports::EvictionResult> remove(const Found& found, const std::stop_token& stop) {
  auto reason_to_keep = changed_since(found.entry, stop);
  if (!reason_to_keep) return std::move(reason_to_keep).error();
  if (!reason_to_keep->empty()) return dropped(*std::move(reason_to_keep));
  RemovalOptions options;
  options.stop = stop;
  const auto& entry = found.entry;
  auto removed = remove_tree_in(entry.root->folder(), entry.name, entry.look.identity, options);
  if (!removed && removed.error().code() == Errc::kConflict) return dropped(removed.error().message());
  if (!removed) return std::move(removed).error();
  if (removed->removed == 0) return dropped(removed->stopped ? "the daemon stops" : removed->first_error);
  ports::EvictionResult taken;
  taken.reported = removed->bytes;
  return taken;
}

policy::Candidate candidate_of(const Found& found, Now now) {
  policy::Candidate candidate;
  candidate.id = found.folder.path;
  candidate.name = format("DOCKER_CONFIG {}", found.folder.path);
  candidate.size = found.entry.look.bytes;
  candidate.device = device_label(found.folder.device);
  candidate.last_use.at = std::max(found.folder.ended, found.entry.look.changed);
  candidate.last_use.observed = std::max(Duration{0}, now.wall - candidate.last_use.at);
  candidate.in_use_by = found.entry.user;
  candidate.protected_as = found.entry.spared;
  return candidate;
}

}  // namespace

bool DockerConfigs::frees(const ports::FilesystemSnapshot& filesystem) const {
  const auto left = parts_.left.left_folders();
  return std::any_of(left.begin(), left.end(),
                     [&](const auto& one) { return device_label(one.device) == filesystem.device; });
}

ports::Async<std::vector<policy::Candidate>> DockerConfigs::list(const policy::RungTurn&) { return list_folders(); }

ports::Async<ports::EvictionResult> DockerConfigs::evict(const policy::Candidate& candidate, const policy::RungTurn&) {
  return evict_planned(candidate);
}

bool DockerConfigs::is_left(const ports::JobFolder& folder) const {
  const auto left = parts_.left.left_folders();
  return std::any_of(left.begin(), left.end(), [&](const auto& one) {
    return one.path == folder.path && one.device == folder.device && one.inode == folder.inode;
  });
}

ports::Async<std::vector<policy::Candidate>> DockerConfigs::list_folders() {
  forget_list();
  std::vector<policy::Candidate> candidates;
  auto folders = parts_.left.left_folders();
  if (folders.empty()) co_return candidates;
  std::function<Result<std::vector<Found>>()> work = [folders = std::move(folders), stop = stop_.get_token()] {
    return look_at_all(folders, stop);
  };
  auto all = co_await parts_.workers.compute<std::vector<Found>>(work, kLookDeadline);
  if (!all) co_return std::move(all).error();
  const Now now = parts_.clock.now();
  for (auto& found : *all) {
    if (found.gone) {
      parts_.left.forget_folder(found.folder);
      continue;
    }
    candidates.push_back(candidate_of(found, now));
    planned_.emplace(found.folder.path, std::move(found));
  }
  co_return candidates;
}

ports::Async<ports::EvictionResult> DockerConfigs::evict_planned(policy::Candidate candidate) {
  const auto planned = planned_.find(candidate.id);
  if (planned == planned_.end()) co_return dropped("it is not of the last plan");
  if (!is_left(planned->second.folder)) co_return dropped("a job has it");
  std::function<Result<ports::EvictionResult>()> work = [found = planned->second, stop = stop_.get_token()] {
    return remove(found, stop);
  };
  auto taken = co_await parts_.workers.compute<ports::EvictionResult>(work, kRemoveDeadline);
  if (taken && taken->dropped.empty()) parts_.left.forget_folder(planned->second.folder);
  co_return taken;
}

}  // namespace buildwarden::disk
