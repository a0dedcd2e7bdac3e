// The disk monitor: measures what is due, says what changed, has room made when it is needed.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/loop_timer.h"
#include "config/settings.h"
#include "daemon/filesystems/clock_step_detector.h"
#include "daemon/filesystems/disk_usage.h"
#include "daemon/filesystems/filesystem_table.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/journal.h"

namespace buildwarden::disk {

// Must outlive run(), which its owner joins after stop().
class DiskMonitor {
 public:
  struct Parts {
    const Settings& settings;
    const Clock& clock;
    ports::Journal& journal;
    FilesystemTable& filesystems;
    ports::Space& space;
    DiskUsage& users;
    // Whether a reclaim can free that filesystem: only then is its shortage a reason to begin one.
    std::function<bool(const ports::FilesystemSnapshot&)> can_free;
    // Called on the loop after each measurement, for what depends on how much is free; may be empty.
    std::function<void(const boost::asio::any_io_executor& loop)> after_measurement{};
    std::string run{};      // for ClockStepDetector, as
    std::string boot_id{};  // this
  };
  explicit DiskMonitor(Parts parts);

  // One turn: measures what is due (everything with `every`), records the changes, and notes whether room is needed.
  // The answer: how long until the next one.
  boost::asio::awaitable<Duration> turn(bool every);
  // One turn of the background reclaim: makes room when turn() noted that it is needed and the last try is not too
  // short ago. Whether it tried.
  boost::asio::awaitable<bool> reclaim_turn();

  // Another configuration counts: the next turn comes at once and measures everything, and room is made again even if
  // that fell short a moment ago.
  void look_now();
  // Something was mounted or unmounted: the next turn comes at once and measures everything. It is no reason to try
  // again: containers mount whenever they start, and so does each command in one (runc), our own question for a
  // builder's cache too. Only where other filesystems are watched then, room is made again as with look_now().
  void mounts_changed();

  // Turns until stop(), which also breaks off a background reclaim where it waits. Only stop() ends it.
  boost::asio::awaitable<void> run();
  void stop();

  // For the age rules of what has no ledger: the wall clock was not set within `time`.
  [[nodiscard]] bool clock_is_steady_for(Duration time) const;

 private:
  boost::asio::awaitable<void> all_loops();
  boost::asio::awaitable<void> watch_loop();
  boost::asio::awaitable<void> reclaim_loop();
  boost::asio::awaitable<void> users_loop();
  void record_clock_step(Now now);
  void note_filesystems();
  void note_need();
  [[nodiscard]] Duration pause_after(const ports::SpaceResult& result);

  Parts parts_;
  ClockStepDetector clock_steps_;
  bool needed_ = false;
  policy::Level worst_ = policy::Level::kOk;  // of the filesystems that need room
  policy::Level tried_at_ = policy::Level::kOk;
  std::optional<BootTime> not_before_;
  std::vector<std::pair<std::string, std::string>> watched_;  // device and mount of each filesystem
  Duration after_hindered_{0};  // of the last try, doubled at the next; 0: it was not hindered
  LoopTimer loop_timer_;        // of the measuring loop, and of all three
  LoopTimer reclaim_timer_;
  LoopTimer users_timer_;
  bool every_ = false;  // the next turn measures everything
};

}  // namespace buildwarden::disk
