// The readiness protocol of systemd (sd_notify(3)), without libsystemd, which would add a millisecond to each start.
#pragma once

#include <string_view>

#include "common/result.h"

namespace buildwarden {

// Sends `state` ("READY=1", "STATUS=…", "STOPPING=1"; several lines allowed) to $NOTIFY_SOCKET. Without that variable
// it does nothing and succeeds.
Result<void> sd_notify(std::string_view state);

}  // namespace buildwarden
