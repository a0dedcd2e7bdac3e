// How often something that fails again and again is tried, and told. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

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

// Whether the `times`-th in a row of the same news is told: the 1st, 2nd, 4th, 8th … What lasts for days does not push
// others out of the journal. `times` from 1 on.
constexpr bool is_told(std::int64_t times) { return (times & (times - 1)) == 0; }

}  // namespace buildwarden::policy
