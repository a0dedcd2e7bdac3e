// When something that happens every so often is due: at whole multiples of its period, so that everything of one period
// wakes the process together. On an idle machine each wake is what a daemon costs.
#pragma once

#include <chrono>

namespace buildwarden {

// The first multiple of `period` after `now`. `period` > 0.
inline std::chrono::steady_clock::time_point next_beat(std::chrono::steady_clock::time_point now,
                                                       std::chrono::milliseconds period) {
  return now - now.time_since_epoch() % period + period;
}

// The end of a wait of about `time`: from a second on the nearest whole second, so that long waits end together.
inline std::chrono::steady_clock::time_point wait_end(std::chrono::steady_clock::time_point now,
                                                      std::chrono::milliseconds time) {
  constexpr std::chrono::seconds kCoarse{1};
  return time < kCoarse ? now + time : std::chrono::round<std::chrono::seconds>(now + time);
}

}  // namespace buildwarden
