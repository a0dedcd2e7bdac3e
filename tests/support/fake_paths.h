// A kernel's view of some paths, with mounts that hang: safe to ask from any thread.
#pragma once

#include <sys/sysmacros.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "daemon/disk/path_facts.h"

namespace buildwarden::testing {

class FakePaths {
 public:
  ~FakePaths() { release_all(); }

  // `path` lies on device 8:`minor`; sizes in GiB.
  void put(const std::string& path, unsigned minor, Bytes free_gib, std::uint64_t fsid = 1) {
    const std::lock_guard lock(mutex_);
    auto& facts = facts_[path];
    facts.resolved = path;
    facts.key.device = makedev(8, minor);
    facts.key.fsid = fsid;
    facts.total = 100 * kGiB;
    facts.free = free_gib * kGiB;
    facts.total_inodes = 10'000'000;
    facts.free_inodes = 9'000'000;
  }
  void remove(const std::string& path) {
    const std::lock_guard lock(mutex_);
    facts_.erase(path);
  }
  void hang(const std::string& path) {
    const std::lock_guard lock(mutex_);
    hung_.insert(path);
  }
  void release_all() {
    const std::lock_guard lock(mutex_);
    hung_.clear();
    changed_.notify_all();
  }
  [[nodiscard]] int calls(const std::string& path) {
    const std::lock_guard lock(mutex_);
    return calls_[path];
  }
  disk::StatPath function() {
    return [this](const std::string& path) { return stat(path); };
  }

 private:
  Result<disk::PathFacts> stat(const std::string& path) {
    std::unique_lock lock(mutex_);
    ++calls_[path];
    changed_.wait(lock, [&] { return !hung_.contains(path); });
    const auto found = facts_.find(path);
    if (found == facts_.end()) return Error(Errc::kNotFound, "no " + path);
    return found->second;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, disk::PathFacts> facts_;
  std::set<std::string> hung_;
  std::map<std::string, int> calls_;
};

}  // namespace buildwarden::testing
