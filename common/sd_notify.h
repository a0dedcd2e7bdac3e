// The readiness protocol of systemd (sd_notify(3)), without libsystemd, which would add a millisecond to each start.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/units.h"

namespace buildwarden {

// Sends `state` ("READY=1", "STATUS=…", "STOPPING=1"; several lines allowed) to $NOTIFY_SOCKET. Without that variable
// it does nothing and succeeds.
Result<void> sd_notify(std::string_view state);

// "RELOADING=1" with the monotonic time that belongs to it; to be followed by READY=1.
std::string reloading_state();

// The time without WATCHDOG=1 after which systemd takes the process for hung (WatchdogSec=), from $WATCHDOG_USEC where
// $WATCHDOG_PID is this process or not set. Nothing: nobody watches.
std::optional<Duration> watchdog_limit();

}  // namespace buildwarden
