// For work on folders that a worker does: what is still under way then counts as failed, and is said.
#pragma once

#include "common/units.h"

namespace buildwarden::disk {

// To walk and measure them.
inline constexpr Duration kLookDeadline = std::chrono::minutes{5};

// To remove one.
inline constexpr Duration kRemoveDeadline = std::chrono::minutes{30};

}  // namespace buildwarden::disk
