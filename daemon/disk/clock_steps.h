// Notices when somebody sets the wall clock: ages by it are then worth nothing for a while.
#pragma once

#include <optional>

#include "common/time.h"

namespace buildwarden::disk {

class ClockSteps {
 public:
  // By how much the wall clock was set since the last call, when that is more than a minute; nothing otherwise.
  std::optional<Duration> note(Now now);
  // No such step within the last `time` (on the boot clock).
  [[nodiscard]] bool steady_for(Duration time, Now now) const;

 private:
  std::optional<Now> last_;
  std::optional<BootTime> stepped_at_;
};

}  // namespace buildwarden::disk
