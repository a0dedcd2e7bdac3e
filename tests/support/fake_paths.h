// A kernel's view of some paths, with mounts that hang: safe to ask from any thread.
#pragma once

#include <sys/sysmacros.h>

#include <condition_variable>
#include <map>
#include <memory>
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
    const std::lock_guard lock(state_->mutex);
    auto& facts = state_->facts[path];
    facts.resolved = path;
    facts.key.device = makedev(8, minor);
    facts.key.fsid = fsid;
    facts.total = 100 * kGiB;
    facts.free = free_gib * kGiB;
    facts.total_inodes = 10'000'000;
    facts.free_inodes = 9'000'000;
  }
  void hang(const std::string& path) {
    const std::lock_guard lock(state_->mutex);
    state_->hung.insert(path);
  }
  void release_all() {
    const std::lock_guard lock(state_->mutex);
    state_->hung.clear();
    state_->changed.notify_all();
  }
  [[nodiscard]] int calls(const std::string& path) {
    const std::lock_guard lock(state_->mutex);
    return state_->calls[path];
  }
  disk::StatPath function() {
    return [state = state_](const std::string& path) { return stat(*state, path); };
  }

 private:
  // Shared with threads that hang in it, which may outlive this.
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::map<std::string, disk::PathFacts> facts;
    std::set<std::string> hung;
    std::map<std::string, int> calls;
  };
  static Result<disk::PathFacts> stat(State& state, const std::string& path) {
    std::unique_lock lock(state.mutex);
    ++state.calls[path];
    state.changed.wait(lock, [&] { return !state.hung.contains(path); });
    const auto found = state.facts.find(path);
    if (found == state.facts.end()) return Error(Errc::kNotFound, "no " + path);
    return found->second;
  }

  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace buildwarden::testing
