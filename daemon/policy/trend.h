// How fast a filesystem fills, from the readings of the last seconds. Pure.
#pragma once

#include <optional>
#include <vector>

#include "daemon/policy/pressure.h"

namespace buildwarden::policy {

// Per second, positive when it fills: the median of the slopes between all pairs of readings, so that one burst or one
// wrong reading does not bend it.
struct Trend {
  double bytes_per_second = 0;
  double inodes_per_second = 0;
  bool steady_bytes = false;  // three quarters of the pairs show it filling: more than a burst
  bool steady_inodes = false;
};

// Over the newest readings with no gap of over 10 s between them; nothing with fewer than 5 of them or less than a
// second from first to last.
std::optional<Trend> trend_of(const std::vector<Reading>& readings);

// From the last two readings alone, bytes per second: enough to look closer, never to act on.
double last_slope(const std::vector<Reading>& readings);

// The least of the slopes between neighbours among the last four readings, bytes per second: what fills the disk at
// least, before there is a trend. 0 when they span more than a second or one of them does not fall.
double sure_slope(const std::vector<Reading>& readings);

// Appends `reading`, or puts it in the place of the last one where three would lie within 100 ms: so the memory spans
// seconds at any pace. A reading that is not newer, or of another size, starts anew.
void remember(std::vector<Reading>& readings, const Reading& reading);

// The time until `distance` is used up at `per_second`; nothing when it does not shrink or lasts over 30 days.
std::optional<Duration> time_until(double distance, double per_second);

}  // namespace buildwarden::policy
