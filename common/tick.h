// When something that happens every so often is due: at whole multiples of its period, so that everything of one period
// wakes the process together. On an idle machine each wake is what a daemon costs.
#pragma once

#include <chrono>
#include <ratio>

namespace buildwarden {

// The first multiple of `period` after `now`. `period` > 0.
inline std::chrono::steady_clock::time_point next_tick(std::chrono::steady_clock::time_point now,
                                                       std::chrono::milliseconds period) {
  return now - now.time_since_epoch() % period + period;
}

// What looks around without being told does it this often, all at once.
inline constexpr std::chrono::seconds kIdleTick{6};

// The end of a wait of about `time`: from a second on the nearest whole second, from five on the nearest tick, so that
// long waits end together.
inline std::chrono::steady_clock::time_point wait_end(std::chrono::steady_clock::time_point now,
                                                      std::chrono::milliseconds time) {
  using Ticks = std::chrono::duration<std::chrono::seconds::rep, std::ratio<kIdleTick.count()>>;
  if (time < std::chrono::seconds{1}) return now + time;
  if (time < kIdleTick - std::chrono::seconds{1}) return std::chrono::round<std::chrono::seconds>(now + time);
  return std::chrono::round<Ticks>(now + time);
}

}  // namespace buildwarden
