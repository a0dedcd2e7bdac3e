// A disk with a ballast and others' files on it, for timelines and properties of the policy.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "daemon/policy/ballast.h"
#include "daemon/policy/pressure.h"
#include "tests/support/fake_clock.h"

namespace buildwarden::testing {

inline constexpr Bytes kDiskTotal = 100 * kGiB;

inline std::string name_of(policy::BallastAct act) {
  switch (act) {
    case policy::BallastAct::kKeep: return "keep";
    case policy::BallastAct::kMake: return "make";
    case policy::BallastAct::kGive: return "give";
    case policy::BallastAct::kShrink: return "shrink";
    case policy::BallastAct::kRemove: return "remove";
  }
  return "?";
}

// 100 GiB with others' files on it; by default critical 5, low 15, target 25 GiB, ballast 1 GiB.
class BallastDisk {
 public:
  // One turn, as the daemon takes it: what is planned is done.
  std::string turn() {
    const auto at = reading();
    const auto marks = policy::marks_for(settings, at, true);
    auto [pressure, memory] = policy::assess(at, marks, memory_);
    memory_ = std::move(memory);
    level = pressure.level;
    policy::BallastSituation now;
    now.reading = at;
    now.level = pressure.level;
    now.reclaim = pressure.reclaim;
    now.marks = marks;
    now.held = held;
    now.wishes_known = wishes_known;
    const auto plan = policy::plan_ballast(settings, now);
    if (plan.act != policy::BallastAct::kKeep) {
      held = plan.size;
      memory_.recent.clear();
    }
    return name_of(plan.act);
  }
  [[nodiscard]] policy::Reading reading() const {
    return policy::Reading{kDiskTotal, std::max<Bytes>(kDiskTotal - used - held, 0), 0, 0, clock.now()};
  }
  // The level that the disk has now, without a turn.
  [[nodiscard]] policy::Level level_now() const {
    return policy::assess(reading(), policy::marks_for(settings, reading(), true), memory_).pressure.level;
  }

  FakeClock clock;
  DiskSettings settings;
  Bytes used = 0;
  Bytes held = 0;
  bool wishes_known = true;
  policy::Level level = policy::Level::kUnknown;

 private:
  policy::PressureMemory memory_;
};

}  // namespace buildwarden::testing
