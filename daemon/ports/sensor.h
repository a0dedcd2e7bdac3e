// How the readings of one sensor go, for the metrics: whoever reads notes each.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "common/time.h"

namespace buildwarden::ports {

struct SensorRecord {
  bool good = false;                      // the last reading
  std::chrono::duration<double> took{0};  // of the last reading, seconds
  std::optional<WallTime> last_good;
  std::uint64_t readings = 0;  // failed ones included; 0: it has not read yet
  std::uint64_t failures = 0;

  // A reading that began at `began` has just ended.
  void note(bool was_good, std::chrono::steady_clock::time_point began, WallTime now) {
    good = was_good;
    took = std::chrono::steady_clock::now() - began;
    if (was_good) last_good = now;
    ++readings;
    if (!was_good) ++failures;
  }
};

}  // namespace buildwarden::ports
