// A clock that stands still until a test moves it.
#pragma once

#include "common/clock.h"

namespace buildwarden::testing {

class FakeClock final : public Clock {
 public:
  [[nodiscard]] Now now() const override { return now_; }
  // Both clocks, as time passes.
  void advance(Duration by) {
    now_.wall += by;
    now_.boot += by;
  }
  // The wall clock alone, as somebody sets it.
  void step_wall(Duration by) { now_.wall += by; }

 private:
  // 2026-01-01T00:00:00Z, an hour after boot.
  Now now_{WallTime{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}}, BootTime{std::chrono::hours{1}}};
};

}  // namespace buildwarden::testing
