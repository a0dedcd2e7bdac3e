// Notices when somebody sets the wall clock: ages by it are then worth nothing for a while.
#pragma once

#include <optional>
#include <string>

#include "common/time.h"

namespace buildwarden::disk {

// Remembers over a restart of the daemon, by a small file of paths.run, and not over a boot, whose boot clock is
// another one. A file that cannot be read or written costs that memory alone.
class ClockStepDetector {
 public:
  // `folder`: paths.run; "clock" in it. An empty folder or boot id: nothing is remembered.
  explicit ClockStepDetector(std::string folder = "", std::string boot_id = "");

  // By how much the wall clock was set since the last call, also of a daemon before, when that is more than a minute;
  // nothing otherwise.
  std::optional<Duration> note(Now now);
  // No such step within the last `time` (on the boot clock).
  [[nodiscard]] bool steady_for(Duration time, Now now) const;

 private:
  void load();
  void save() const;
  [[nodiscard]] std::string path() const { return folder_ + "/clock"; }

  std::string folder_;
  std::string boot_id_;
  std::optional<Now> last_;
  std::optional<BootTime> stepped_at_;
};

}  // namespace buildwarden::disk
