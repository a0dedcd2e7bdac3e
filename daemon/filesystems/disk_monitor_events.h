// The journal's sentences about levels, marks and the clock.
#pragma once

#include "daemon/filesystems/filesystem.h"
#include "daemon/ports/journal.h"

namespace buildwarden::disk {

// "disk.level"
ports::Event level_event(const LevelChange& change);
// "disk.marks": the configuration asks for more than the filesystem holds, or does so no more.
ports::Event marks_event(const MarksMistake& mistake);
// "clock.step": `untrusted` is for how long ages by the wall clock are not used.
ports::Event clock_step_event(Duration step, Duration untrusted);

}  // namespace buildwarden::disk
