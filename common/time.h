// Points in time as values. Nothing here reads a clock (see clock.h), so that decisions can use it.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/units.h"

namespace buildwarden {

// Wall clock, UTC, milliseconds. It may step; never subtract two of them to measure a wait.
using WallTime = std::chrono::sys_time<Duration>;

// The time line of CLOCK_BOOTTIME: since boot, counting sleep, never stepping.
struct BootTimeline {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<BootTimeline, Duration>;
  static constexpr bool is_steady = true;  // NOLINT(readability-identifier-naming): the Clock requirements name it
};
using BootTime = BootTimeline::time_point;

// The present as one value: both clocks, read together.
struct Now {
  WallTime wall;
  BootTime boot;
};

// "2026-11-23T04:51:04.120Z": RFC 3339, UTC, milliseconds.
std::string format_rfc3339(WallTime time);
// RFC 3339 with any fraction and offset, as the engine writes it ("…T04:51:04.123456789Z", "…+02:00"). The engine's
// "0001-01-01T00:00:00Z" is a valid time long ago. kInvalid otherwise.
Result<WallTime> parse_rfc3339(std::string_view text);

}  // namespace buildwarden
