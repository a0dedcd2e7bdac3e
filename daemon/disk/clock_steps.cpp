#include "daemon/disk/clock_steps.h"

namespace buildwarden::disk {
namespace {

constexpr Duration kTolerated = std::chrono::seconds{60};

}  // namespace

std::optional<Duration> ClockSteps::note(Now now) {
  const auto last = last_;
  if (!last) {
    last_ = now;
    return std::nullopt;
  }
  // Against the first value since the last step, so that many small steps add up.
  const Duration step = (now.wall - last->wall) - (now.boot - last->boot);
  if (step <= kTolerated && step >= -kTolerated) return std::nullopt;
  last_ = now;
  stepped_at_ = now.boot;
  return step;
}

bool ClockSteps::steady_for(Duration time, Now now) const { return !stepped_at_ || now.boot - *stepped_at_ > time; }

}  // namespace buildwarden::disk
