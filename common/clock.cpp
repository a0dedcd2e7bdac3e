#include "common/clock.h"

#include <ctime>

namespace buildwarden {
namespace {

Duration read_clock(clockid_t id) {
  timespec spec{};
  clock_gettime(id, &spec);
  return std::chrono::duration_cast<Duration>(std::chrono::seconds{spec.tv_sec} +
                                              std::chrono::nanoseconds{spec.tv_nsec});
}

}  // namespace

Now SystemClock::now() const { return {WallTime{read_clock(CLOCK_REALTIME)}, BootTime{read_clock(CLOCK_BOOTTIME)}}; }

}  // namespace buildwarden
