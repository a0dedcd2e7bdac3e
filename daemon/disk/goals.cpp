#include "daemon/disk/goals.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/format.h"

namespace buildwarden::disk {
namespace {

constexpr double kHurrySeconds = 10;

policy::Level at_least_low(policy::Level level) { return level == policy::Level::kOk ? policy::Level::kLow : level; }

// Adds one filesystem to what is known so far.
class Tally {
 public:
  Tally() { now_.reached = true; }

  void add(const Measured& filesystem, const policy::Goal& goal, bool freeable) {
    if (!filesystem.reading) {
      now_.reached = false;
      now_.unread.push_back(filesystem.mount);
      return;
    }
    const bool enough = policy::reached(goal, *filesystem.reading);
    note_lack(filesystem, goal, enough);
    if (enough) return;
    now_.reached = false;
    if (!freeable) now_.no_means.push_back(filesystem.mount);
    if (!freeable || filesystem.level == policy::Level::kUnknown) return;
    const auto level = at_least_low(filesystem.level);
    now_.level = now_.can_help ? std::max(now_.level, level) : level;
    now_.can_help = true;
  }

  [[nodiscard]] Standing result() const { return now_; }

 private:
  void note_lack(const Measured& filesystem, const policy::Goal& goal, bool enough) {
    const auto& reading = *filesystem.reading;
    const std::pair lack(!enough, goal.free - reading.free);
    if (largest_lack_ && lack <= *largest_lack_) return;
    largest_lack_ = lack;
    now_.free = reading.free;
    now_.wanted = goal.free;
    now_.free_inodes = reading.free_inodes;
    now_.wanted_inodes = reading.total_inodes == 0 ? 0 : goal.free_inodes;
    now_.mount = filesystem.mount;
  }

  Standing now_;
  std::optional<std::pair<bool, Bytes>> largest_lack_;  // whether it is short at all, then by how many bytes
};

}  // namespace

std::optional<policy::Goal> goal_for(const Measured& filesystem, const ports::SpaceRequest& request, bool freeable) {
  policy::Goal goal;
  if (request.free > 0) {
    if (!filesystem.gate) return std::nullopt;
    goal.free = request.free;
    goal.free_inodes = filesystem.marks.critical_inodes;
    return goal;
  }
  if (!freeable) return std::nullopt;
  goal.free = filesystem.marks.target;
  goal.free_inodes = filesystem.marks.target_inodes;
  return goal;
}

Standing standing(const std::vector<Measured>& filesystems, const ports::SpaceRequest& request, const Frees& frees) {
  Tally tally;
  for (const auto& filesystem : filesystems) {
    const bool freeable = frees(filesystem);
    if (const auto goal = goal_for(filesystem, request, freeable)) tally.add(filesystem, *goal, freeable);
  }
  return tally.result();
}

Standing standing_there(const std::vector<Measured>& filesystems, const ports::SpaceRequest& request,
                        const Frees& frees) {
  Tally tally;
  for (const auto& filesystem : filesystems) {
    if (!frees(filesystem)) continue;
    if (const auto goal = goal_for(filesystem, request, true)) tally.add(filesystem, *goal, true);
  }
  return tally.result();
}

Standing standing_endless(const std::vector<Measured>& filesystems, const Frees& frees) {
  Tally tally;
  for (const auto& filesystem : filesystems) {
    policy::Goal all;
    all.free = std::numeric_limits<Bytes>::max();
    if (frees(filesystem)) tally.add(filesystem, all, true);
  }
  auto standing = tally.result();
  standing.endless = true;
  standing.wanted = 0;
  return standing;
}

std::string figures(const Standing& standing) {
  if (standing.endless) return format("{} free on {}", format_bytes(standing.free), standing.mount);
  const bool by_inodes = standing.free >= standing.wanted && standing.free_inodes < standing.wanted_inodes;
  if (by_inodes) {
    return format("{} inodes free of {} wanted on {}", standing.free_inodes, standing.wanted_inodes, standing.mount);
  }
  return format("{} free of {} wanted on {}", format_bytes(standing.free), format_bytes(standing.wanted),
                standing.mount);
}

bool fills_at_once(const Standing& before, const Standing& now, Duration between) {
  if (before.mount != now.mount) return false;
  const auto taken = static_cast<double>(before.free - now.free);
  const auto seconds = std::chrono::duration<double>(between).count();
  return taken > 0 && seconds > 0 && static_cast<double>(now.free) * seconds < kHurrySeconds * taken;
}

std::vector<policy::FreeReading> free_on(const std::vector<Measured>& filesystems, const Frees& frees) {
  std::vector<policy::FreeReading> readings;
  for (const auto& filesystem : filesystems) {
    if (!filesystem.reading || !frees(filesystem)) continue;
    policy::FreeReading free;
    free.filesystem = filesystem.filesystem.empty() ? filesystem.device : filesystem.filesystem;
    free.mount = filesystem.mount;
    free.bytes = std::max(filesystem.reading->free, filesystem.reading->free_to_root) + filesystem.ballast;
    free.inodes = filesystem.reading->free_inodes;
    readings.push_back(std::move(free));
  }
  return readings;
}

}  // namespace buildwarden::disk
