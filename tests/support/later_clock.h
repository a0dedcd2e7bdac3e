// The real time and then some: nobody can set a ctime back.
#pragma once

#include "common/clock.h"

namespace buildwarden::testing {

class LaterClock final : public Clock {
 public:
  explicit LaterClock(Duration by = Duration{0}) : later(by) {}
  [[nodiscard]] Now now() const override {
    auto now = clock_.now();
    now.wall += later;
    now.boot += later;
    return now;
  }
  Duration later;

 private:
  SystemClock clock_;
};

}  // namespace buildwarden::testing
