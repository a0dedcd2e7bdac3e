// The reclaimer's way: which rungs are climbed, with which age, and until when.
#include <algorithm>

#include "daemon/reclaim/reclaim_run.h"

namespace buildwarden::disk {

bool Reclaimer::can_free(const ports::FilesystemSnapshot& filesystem) const {
  return std::any_of(parts_.rungs.begin(), parts_.rungs.end(),
                     [&filesystem](const ports::Evictor* rung) { return rung->frees(filesystem); });
}

bool Reclaimer::has_one_order() const {
  return std::any_of(parts_.rungs.begin(), parts_.rungs.end(),
                     [](const ports::Evictor* rung) { return rung->id() == policy::RungId::kUnused; });
}

bool Reclaimer::over(const ReclaimRun& run) const {
  const bool forbidden = parts_.settings.dry_run && !run.request.dry_run;
  const bool gives_way = run.only != nullptr && mutex_.has_waiters();
  return loop_timer_.stopped() || forbidden || gives_way || run.at.reached || !run.at.can_help ||
         parts_.clock.now().boot >= run.until;
}

bool Reclaimer::outdated(const ReclaimRun& run) const { return !run.request.dry_run && run.settings != settings_; }

std::vector<policy::RungTurn> Reclaimer::turns(policy::Level level) const {
  policy::LadderRequest request;
  request.level = level;
  request.keep_used_within = parts_.settings.disk.keep_used_within;
  request.grace = parts_.settings.disk.grace;
  request.builder_prune = parts_.settings.on_full.builder_prune;
  request.purge_builds = parts_.settings.on_full.purge_builds;
  request.purge_mirrors = parts_.settings.on_full.purge_mirrors;
  request.terminate_instance = parts_.settings.on_full.terminate_instance;
  request.only_gentle = parts_.only_gentle && parts_.only_gentle();
  request.by_value = parts_.settings.disk.rank_by == RankBy::kValue && has_one_order();
  return policy::climb(request);
}

// A rung climbs as high as the filesystems that it frees need it: one that is critical opens no second pass on another.
std::vector<Reclaimer::ReclaimStep> Reclaimer::steps_for(const ReclaimRun& run) const {
  std::vector<ReclaimStep> legs;
  for (const auto& turn : turns(run.at.level)) {
    for (auto* rung : parts_.rungs) {
      if (rung->id() != turn.rung) continue;
      const auto need = goal_status_of(run, *rung, "");
      if (!need.can_help) continue;
      const auto own = turns(need.level);
      const auto same = std::find_if(own.begin(), own.end(), [&turn](const policy::RungTurn& one) {
        return one.rung == turn.rung && one.pass == turn.pass;
      });
      if (same != own.end()) legs.push_back(ReclaimStep{rung, *same});
    }
  }
  return legs;
}

std::optional<ports::LastResortView> Reclaimer::last_resort(const ReclaimRun& run) const {
  if (!run.request.dry_run) return std::nullopt;
  for (const auto& filesystem : run.seen) {
    const auto own = turns(filesystem.pressure.level);
    const bool has_last = !own.empty() && own.back().rung == policy::RungId::kLastResort;
    const policy::Goal uncritical{filesystem.marks.critical, filesystem.marks.critical_inodes};
    const bool is_short = filesystem.reading && !policy::reached(uncritical, *filesystem.reading);
    if (!filesystem.gate || !has_last || !is_short || run.spared.contains(filesystem.device)) continue;
    for (const auto* rung : parts_.rungs) {
      if (auto view = rung->last_resort(filesystem)) return view;
    }
  }
  return std::nullopt;
}

bool Reclaimer::helps(const ReclaimRun& run, const ports::Evictor& rung, const std::string& device) const {
  return goal_status_of(run, rung, device).can_help;
}

GoalStatus Reclaimer::goal_status_of_collection(const ReclaimRun& run) const {
  return goal_status_endless(run.seen,
                             [&](const ports::FilesystemSnapshot& filesystem) { return run.only->frees(filesystem); });
}

GoalStatus Reclaimer::goal_status_of(const ReclaimRun& run) const {
  if (run.only != nullptr) return goal_status_of_collection(run);
  return goal_status(run.seen, run.request, [&](const ports::FilesystemSnapshot& filesystem) {
    return can_free(filesystem) && !run.spared.contains(filesystem.device);
  });
}

GoalStatus Reclaimer::goal_status_of(const ReclaimRun& run, const ports::Evictor& rung,
                                     const std::string& device) const {
  return goal_status_at(run, [&](const ports::FilesystemSnapshot& filesystem) {
    return rung.frees(filesystem) && (device.empty() || filesystem.device == device);
  });
}

GoalStatus Reclaimer::goal_status_at(const ReclaimRun& run, const Frees& where) const {
  if (run.only != nullptr) return goal_status_of_collection(run);
  return goal_status_there(run.seen, run.request, [&](const ports::FilesystemSnapshot& filesystem) {
    return !run.spared.contains(filesystem.device) && where(filesystem);
  });
}

}  // namespace buildwarden::disk
