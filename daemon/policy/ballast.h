// The reserve on a filesystem: how large it shall be, when it is made, and when it is given back. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/settings.h"
#include "daemon/policy/pressure.h"

namespace buildwarden::policy {

enum class BallastAct : std::uint8_t {
  kKeep,
  kMake,    // or make larger
  kGive,    // all of it, because the disk is full
  kShrink,  // to what the configuration says now
  kRemove,  // for good
};

// One filesystem that may carry a ballast, as it is now.
struct BallastSituation {
  std::optional<Reading> reading;  // a good and current one
  Level level = Level::kUnknown;
  bool reclaim = false;  // space is being made, or shall be
  Marks marks;
  Bytes held = 0;            // what lies there
  bool wishes_known = true;  // false: the operator's file is not there yet
};

struct BallastPlan {
  BallastAct act = BallastAct::kKeep;
  Bytes size = 0;      // what shall lie there afterwards
  std::string reason;  // one sentence with the numbers
  // "held", "exhausted", "given", "configured", "too_small", "wishes_unknown", "level_unknown", "not_enough", "enough".
  std::string rule;
};

// What the settings ask for on a filesystem of `total` bytes: at most 2 % of it, in whole MiB; 0: none.
Bytes ballast_size(const DiskSettings& settings, Bytes total);

// One turn. Given at exhausted, made only where target + ballast are free: that distance is the latch, so it is given
// once and comes back when the reclaim is over, and making it never leads below the target, let alone low. Without a
// good reading nothing happens. Whoever acts keeps the target free: the reading is a moment old.
BallastPlan plan_ballast(const DiskSettings& settings, const BallastSituation& situation);

}  // namespace buildwarden::policy
