// The moment at which a test begins, and those after it.
#pragma once

#include <chrono>

#include "common/time.h"

namespace buildwarden::policy::cases {

inline constexpr Now kNow{WallTime{std::chrono::hours{1000}}, BootTime{std::chrono::hours{1}}};

inline Now after(Duration time) { return {kNow.wall + time, kNow.boot + time}; }

}  // namespace buildwarden::policy::cases
