#include "daemon/disk/job_folders.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "common/folder_users.h"
#include "common/format.h"
#include "daemon/disk/deadlines.h"
#include "daemon/disk/engine_answers.h"
#include "daemon/disk/filesystem_snapshot.h"

namespace buildwarden::disk {
namespace {

using Found = JobFolders::Found;

constexpr std::uint64_t kMostJobEntries = 200'000;  // credentials and buildx's notes

bool exists(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0;
}

// What is in it besides docker's own: then somebody keeps something else there.
bool is_dockers(const std::string& path, const TreeLook& look) {
  return look.entries <= 1 || exists(path + "/config.json") || exists(path + "/buildx");
}

Found look_at(const ports::JobFolder& folder, const std::stop_token& stop) {
  Found found;
  found.folder = folder;
  const auto slash = folder.path.rfind('/');
  found.entry.folder = folder.path.substr(0, slash);
  found.entry.name = folder.path.substr(slash + 1);
  struct stat info{};
  found.gone = ::lstat(folder.path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_dev != folder.device ||
               info.st_ino != folder.inode || info.st_uid != folder.uid;
  if (found.gone) return found;
  auto look = look_through(found.entry.folder, found.entry.name, kMostJobEntries, stop);
  if (!look) {
    found.entry.spared = look.error().message();
    return found;
  }
  found.entry.look = *look;
  found.gone = look->identity != TreeIdentity{info.st_dev, info.st_ino};
  if (!look->complete) found.entry.spared = format("only {} entries of it could be looked at", look->entries);
  if (look->has_mount) found.entry.spared = "something is mounted in it";
  if (!is_dockers(folder.path, *look)) found.entry.spared = "it does not look like a folder of docker's";
  return found;
}

Result<std::vector<Found>> look_at_all(const std::vector<ports::JobFolder>& folders, const std::stop_token& stop) {
  std::vector<Found> all;
  std::vector<std::string> paths;
  for (const auto& folder : folders) {
    all.push_back(look_at(folder, stop));
    if (!all.back().gone) paths.push_back(folder.path);
  }
  if (paths.empty()) return all;
  auto users = folder_users(paths);
  if (!users) return std::move(users).error();
  for (auto& found : all) {
    const auto user = users->find(found.folder.path);
    if (user != users->end()) found.entry.user = user->second;
  }
  return all;
}

Result<ports::Rung::Taken> remove(const Found& found, const std::stop_token& stop) {
  auto speaks_for_it = changed_since(found.entry, stop);
  if (!speaks_for_it) return std::move(speaks_for_it).error();
  if (!speaks_for_it->empty()) return dropped(*std::move(speaks_for_it));
  auto removed = remove_tree(found.entry.folder, found.entry.name, found.entry.look.identity, stop);
  if (!removed && removed.error().code() == Errc::kConflict) return dropped(removed.error().message());
  if (!removed) return std::move(removed).error();
  if (removed->removed == 0) return dropped(removed->stopped ? "the daemon stops" : removed->first_error);
  ports::Rung::Taken taken;
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

bool JobFolders::frees(const ports::Place& place) const {
  const auto left = parts_.left.left_folders();
  return std::any_of(left.begin(), left.end(),
                     [&](const auto& one) { return device_label(one.device) == place.device; });
}

ports::Async<std::vector<policy::Candidate>> JobFolders::list(const policy::RungTurn&) { return list_folders(); }

ports::Async<ports::Rung::Taken> JobFolders::take(const policy::Candidate& candidate, const policy::RungTurn&) {
  return take_planned(candidate);
}

bool JobFolders::is_left(const ports::JobFolder& folder) const {
  const auto left = parts_.left.left_folders();
  return std::any_of(left.begin(), left.end(), [&](const auto& one) {
    return one.path == folder.path && one.device == folder.device && one.inode == folder.inode;
  });
}

ports::Async<std::vector<policy::Candidate>> JobFolders::list_folders() {
  planned_.clear();
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

ports::Async<ports::Rung::Taken> JobFolders::take_planned(policy::Candidate candidate) {
  const auto planned = planned_.find(candidate.id);
  if (planned == planned_.end()) co_return dropped("it is not of the last plan");
  if (!is_left(planned->second.folder)) co_return dropped("a job has it");
  std::function<Result<Taken>()> work = [found = planned->second, stop = stop_.get_token()] {
    return remove(found, stop);
  };
  auto taken = co_await parts_.workers.compute<Taken>(work, kRemoveDeadline);
  if (taken && taken->dropped.empty()) parts_.left.forget_folder(planned->second.folder);
  co_return taken;
}

}  // namespace buildwarden::disk
