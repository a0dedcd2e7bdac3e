// log.* as the log takes it.
#pragma once

#include "config/settings.h"

namespace buildwarden {

void configure_log(const LogSettings& settings);

}  // namespace buildwarden
