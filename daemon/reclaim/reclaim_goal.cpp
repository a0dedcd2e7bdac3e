#include "daemon/reclaim/reclaim_goal.h"

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

  void add(const ports::FilesystemSnapshot& filesystem, const policy::Goal& goal, bool freeable) {
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
    if (!freeable || filesystem.pressure.level == policy::Level::kUnknown) return;
    const auto level = at_least_low(filesystem.pressure.level);
    now_.level = now_.can_help ? std::max(now_.level, level) : level;
    now_.can_help = true;
  }

  [[nodiscard]] GoalStatus result() const { return now_; }

 private:
  void note_lack(const ports::FilesystemSnapshot& filesystem, const policy::Goal& goal, bool enough) {
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

  GoalStatus now_;
  std::optional<std::pair<bool, Bytes>> largest_lack_;  // whether it is short at all, then by how many bytes
};

}  // namespace

std::optional<policy::Goal> goal_for(const ports::FilesystemSnapshot& filesystem, const ports::SpaceRequest& request,
                                     bool freeable) {
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

GoalStatus goal_status(const std::vector<ports::FilesystemSnapshot>& filesystems, const ports::SpaceRequest& request,
                       const Frees& frees) {
  Tally tally;
  for (const auto& filesystem : filesystems) {
    const bool freeable = frees(filesystem);
    if (const auto goal = goal_for(filesystem, request, freeable)) tally.add(filesystem, *goal, freeable);
  }
  return tally.result();
}

GoalStatus goal_status_there(const std::vector<ports::FilesystemSnapshot>& filesystems,
                             const ports::SpaceRequest& request, const Frees& frees) {
  Tally tally;
  for (const auto& filesystem : filesystems) {
    if (!frees(filesystem)) continue;
    if (const auto goal = goal_for(filesystem, request, true)) tally.add(filesystem, *goal, true);
  }
  return tally.result();
}

GoalStatus goal_status_endless(const std::vector<ports::FilesystemSnapshot>& filesystems, const Frees& frees) {
  Tally tally;
  for (const auto& filesystem : filesystems) {
    policy::Goal all;
    all.free = std::numeric_limits<Bytes>::max();
    if (frees(filesystem)) tally.add(filesystem, all, true);
  }
  auto status = tally.result();
  status.endless = true;
  status.wanted = 0;
  return status;
}

std::string figures(const GoalStatus& status) {
  if (status.endless) return format("{} free on {}", format_bytes(status.free), status.mount);
  const bool by_inodes = status.free >= status.wanted && status.free_inodes < status.wanted_inodes;
  if (by_inodes) {
    return format("{} inodes free of {} wanted on {}", status.free_inodes, status.wanted_inodes, status.mount);
  }
  return format("{} free of {} wanted on {}", format_bytes(status.free), format_bytes(status.wanted), status.mount);
}

bool fills_at_once(const GoalStatus& before, const GoalStatus& now, Duration between) {
  if (before.mount != now.mount) return false;
  const auto taken = static_cast<double>(before.free - now.free);
  const auto seconds = std::chrono::duration<double>(between).count();
  return taken > 0 && seconds > 0 && static_cast<double>(now.free) * seconds < kHurrySeconds * taken;
}

std::vector<policy::FreeReading> free_on(const std::vector<ports::FilesystemSnapshot>& filesystems,
                                         const Frees& frees) {
  std::vector<policy::FreeReading> readings;
  for (const auto& filesystem : filesystems) {
    if (!filesystem.reading || !frees(filesystem)) continue;
    policy::FreeReading free;
    free.filesystem =
        filesystem.name.empty() ? filesystem.device : format("{} at {}", filesystem.name, filesystem.mount);
    free.mount = filesystem.mount;
    free.bytes = std::max(filesystem.reading->free, filesystem.reading->free_to_root) + filesystem.ballast.bytes;
    free.inodes = filesystem.reading->free_inodes;
    readings.push_back(std::move(free));
  }
  return readings;
}

}  // namespace buildwarden::disk
