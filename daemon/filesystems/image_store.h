// Where the engine's images lie now: in its data root, or in the store of its containerd.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/loop_timer.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/filesystems/watched_paths.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/journal.h"

namespace buildwarden::disk {

// The engine says which of both it is; where containerd has its store is looked up again each minute, since that may be
// moved and containerd be started anew without the engine. Used on the loop only; outlives the loop's last turn.
class ImageStore {
 public:
  struct Parts {
    const Settings& settings;
    const ports::EngineState& engine;
    ports::Journal& journal;
    WorkerPool& workers;
    // containerd_stores(), but for tests.
    std::function<Result<std::vector<std::string>>(const std::string& socket, const std::string& snapshotter)> find{};
    std::function<void()> on_change{};  // home() is another one now; may be empty
  };
  explicit ImageStore(Parts parts);

  // One turn: looks where containerd has the images, if it has them. "disk.image_store" when that is news.
  boost::asio::awaitable<void> turn();
  // A turn at the start, after look_now(), and each minute, until stop().
  boost::asio::awaitable<void> run();
  // Another engine answers, or the same one again.
  void look_now() { loop_timer_.wake(); }
  void stop() { loop_timer_.stop(); }

  // By the last turn, and unknown for a containerd that no turn has looked at.
  [[nodiscard]] EngineHome home() const;
  [[nodiscard]] ports::ImageStoreView view() const;

 private:
  boost::asio::awaitable<void> loop();
  void note(std::string key, ports::ImageStoreView found);

  Parts parts_;
  std::string key_;  // the engine and containerd that `found_` is about
  ports::ImageStoreView found_;
  std::string told_;  // what the journal has last
  LoopTimer loop_timer_;
};

}  // namespace buildwarden::disk
