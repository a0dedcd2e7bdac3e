// Whether what is to be deleted can be: looked at before the disk is short, so that a refusal is no surprise then.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <string>
#include <vector>

#include "common/loop_timer.h"
#include "common/worker.h"
#include "config/settings.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/journal.h"

namespace buildwarden::disk {

// The folders of builds and of git mirrors, where on_full allows to delete in them, and those of disk.cache_dirs. What
// is found here is for people alone: each evictor opens a DeletionRoot for itself. Used on the loop only; outlives the
// loop's last turn.
class DeletionRoots {
 public:
  struct Parts {
    const Settings& settings;
    ports::Journal& journal;
  };
  explicit DeletionRoots(Parts parts) : parts_(parts) {}

  // One turn: looks at all, on a thread of its own, since a mount may hang; "deletion.refused" once for each reason.
  boost::asio::awaitable<void> turn();
  // A turn at the start, after look_now(), and each minute, until stop().
  boost::asio::awaitable<void> run();
  // Settings or mounts have changed.
  void look_now() { loop_timer_.wake(); }
  void stop() { loop_timer_.stop(); }

  // Of the last turn.
  [[nodiscard]] const std::vector<ports::RefusedRoot>& refused() const { return refused_; }

 private:
  boost::asio::awaitable<void> loop();
  void note(std::vector<ports::RefusedRoot> refused);

  Parts parts_;
  WorkerPool worker_{1};
  std::vector<ports::RefusedRoot> refused_;
  std::map<std::string, std::string> told_;  // reasons by path
  LoopTimer loop_timer_;
};

}  // namespace buildwarden::disk
