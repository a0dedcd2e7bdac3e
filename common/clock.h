// The only way to read the time: rooms hold a Clock, decisions get a Now.
#pragma once

#include "common/time.h"

namespace buildwarden {

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Now now() const = 0;
};

// CLOCK_REALTIME and CLOCK_BOOTTIME of the machine.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] Now now() const override;
};

}  // namespace buildwarden
