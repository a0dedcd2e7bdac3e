#include "daemon/disk/goals.h"

#include <algorithm>

namespace buildwarden::disk {
namespace {

policy::Level at_least_low(policy::Level level) { return level == policy::Level::kOk ? policy::Level::kLow : level; }

}  // namespace

std::optional<policy::Goal> goal_for(const Measured& filesystem, const ports::SpaceRequest& request) {
  policy::Goal goal;
  if (request.free > 0) {
    if (!filesystem.gate) return std::nullopt;
    goal.free = request.free;
    goal.free_inodes = filesystem.marks.critical_inodes;
    return goal;
  }
  if (!filesystem.engine_owned) return std::nullopt;
  goal.free = filesystem.marks.target;
  goal.free_inodes = filesystem.marks.target_inodes;
  return goal;
}

Standing standing(const std::vector<Measured>& filesystems, const ports::SpaceRequest& request, Bytes simulated) {
  Standing now;
  now.reached = true;
  std::optional<Bytes> largest_lack;
  for (const auto& filesystem : filesystems) {
    const auto goal = goal_for(filesystem, request);
    if (!goal) continue;
    if (!filesystem.reading) {
      now.reached = false;
      now.unread.push_back(filesystem.mount);
      continue;
    }
    auto reading = *filesystem.reading;
    if (filesystem.engine_owned) reading.free += simulated;
    const bool enough = policy::reached(*goal, reading);
    if (!largest_lack || goal->free - reading.free > *largest_lack) {
      largest_lack = goal->free - reading.free;
      now.free = reading.free;
      now.wanted = goal->free;
      now.mount = filesystem.mount;
    }
    if (enough) continue;
    now.reached = false;
    const bool known = filesystem.level != policy::Level::kUnknown;
    if (!filesystem.engine_owned) now.no_means.push_back(filesystem.mount);
    if (!filesystem.engine_owned || !known) continue;
    now.level = now.can_help ? std::max(now.level, at_least_low(filesystem.level)) : at_least_low(filesystem.level);
    now.can_help = true;
  }
  return now;
}

Bytes engine_free(const std::vector<Measured>& filesystems) {
  Bytes free = 0;
  for (const auto& filesystem : filesystems) {
    if (filesystem.engine_owned && filesystem.reading) free += filesystem.reading->free;
  }
  return free;
}

}  // namespace buildwarden::disk
