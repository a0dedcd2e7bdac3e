// The watch's words.
#pragma once

#include "daemon/disk/gauge.h"
#include "daemon/ports/journal.h"

namespace buildwarden::disk {

// "disk.level"
ports::Event level_event(const LevelChange& change);
// "clock.step": `untrusted` is for how long ages by the wall clock are not used.
ports::Event clock_step_event(Duration step, Duration untrusted);

}  // namespace buildwarden::disk
