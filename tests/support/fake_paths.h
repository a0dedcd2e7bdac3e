// A kernel's view of some paths, with mounts that hang: safe to ask from any thread.
#pragma once

#include <sys/sysmacros.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "daemon/filesystems/path_stat.h"

namespace buildwarden::testing {

class FakePaths {
 public:
  ~FakePaths() { release_all(); }

  // `path` lies on device 8:`minor`; sizes in GiB.
  void put(const std::string& path, unsigned minor, Bytes free_gib, std::uint64_t fsid = 1) {
    const std::lock_guard lock(state_->mutex);
    auto& made = state_->snapshots[path];
    made.resolved = path;
    made.key.device = makedev(8, minor);
    made.key.fsid = fsid;
    made.total = 100 * kGiB;
    made.free = free_gib * kGiB;
    made.total_inodes = 10'000'000;
    made.free_inodes = 9'000'000;
  }
  // In the form of mountinfo; without it no snapshot names a mount.
  void mounts(const std::string& table) {
    const std::lock_guard lock(state_->mutex);
    state_->mounts = parse_mountinfo(table);
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
  disk::ReadPathStat function() {
    return [state = state_](const std::string& path) { return read(*state, path); };
  }

 private:
  // Shared with threads that hang in it, which may outlive this.
  struct Snapshot : disk::PathStat {};
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::map<std::string, Snapshot> snapshots;
    std::vector<MountEntry> mounts;
    std::set<std::string> hung;
    std::map<std::string, int> calls;
  };
  static Result<disk::PathStat> read(State& state, const std::string& path) {
    std::unique_lock lock(state.mutex);
    ++state.calls[path];
    state.changed.wait(lock, [&] { return !state.hung.contains(path); });
    const auto found = state.snapshots.find(path);
    if (found == state.snapshots.end()) return Error(Errc::kNotFound, "no " + path);
    disk::PathStat snapshot = found->second;
    const auto* mount = mount_of(state.mounts, path);
    if (mount != nullptr) snapshot.home = home_of(state.mounts, *mount);
    return snapshot;
  }

  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace buildwarden::testing
