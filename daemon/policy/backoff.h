// How long to wait after a registry failed. Pure.
#pragma once

#include <algorithm>
#include <chrono>

#include "common/units.h"

namespace buildwarden::policy {

// 5 s after the first failure in a row, doubling to 5 min; add jitter up to as much again, since many hosts meet the
// same registry. `failures` from 1 on.
inline Duration pull_pause(int failures) {
  constexpr Duration kShortest = std::chrono::seconds{5};
  constexpr Duration kLongest = std::chrono::minutes{5};
  const auto doubled = kShortest * (std::int64_t{1} << std::clamp(failures - 1, 0, 10));
  return std::min<Duration>(doubled, kLongest);
}

}  // namespace buildwarden::policy
