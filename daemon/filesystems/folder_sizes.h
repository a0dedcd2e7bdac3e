// Who has the disk beside the engine's images and caches: volumes, containers' logs, the largest other folders. Walked
// through in the background while the disk is short, answered from memory.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/loop_timer.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/filesystems/watched_paths.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/filesystems.h"

namespace buildwarden::disk {

// A walk takes minutes of the disk's time, so a disk with room is never walked through; and it is done by one thread of
// the lowest priority. It never enters what is mounted below a filesystem: a mount that hangs holds nobody up.
class FolderSizes {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    const ports::BallastFilesystems& filesystems;
    ports::Containers& containers;
    std::function<EngineHome()> home;              // the engine's, now
    std::function<bool(const std::string&)> ours;  // whether a volume is a builder's, whose cache is told elsewhere
  };
  explicit FolderSizes(Parts parts) : parts_(std::move(parts)) {}

  // One turn: walks when a watched disk is short and the last walk was at least ten minutes ago.
  boost::asio::awaitable<void> turn();
  // Turns until stop(), which also ends a walk within moments.
  boost::asio::awaitable<void> run();
  void stop();

  // What the last walk found on that filesystem: each volume ("volume"), the container logs and other files that the
  // engine keeps for a container ("container_log", its name, or how its id begins), and the largest other
  // folders ("folder", those with a hundredth of the disk at least). The largest first; empty before the first walk,
  // and when all disks have had room for an hour.
  [[nodiscard]] std::vector<ports::DiskUser> users_on(const std::string& device) const;

  // For tests, and for the walk: where to walk and what to leave out.
  struct Filesystem {
    std::string device;  // "8:1"
    std::string mount;
    Bytes total = 0;
  };
  struct Route {
    std::vector<Filesystem> filesystems;  // the short ones
    std::string data_root;                // of the engine; "" where nobody knows it
    std::vector<std::string> mounts;      // mount points: never touched
    std::vector<std::string> elsewhere;   // folders whose size is told elsewhere, where links lead
  };
  struct Found {
    std::string device;
    ports::DiskUser user;
  };
  // Blocks; for a worker. What cannot be read is left out.
  static std::vector<Found> walk(const Route& route, const std::stop_token& stop);

 private:
  [[nodiscard]] Route route() const;
  // Containers by their names, where the engine tells them.
  boost::asio::awaitable<void> name_containers(std::vector<Found>* found);
  boost::asio::awaitable<void> loop();

  Parts parts_;
  WorkerPool worker_{1};
  std::vector<Found> found_;
  std::optional<BootTime> walked_at_;
  LoopTimer loop_timer_;
  std::stop_source stop_;
};

}  // namespace buildwarden::disk
