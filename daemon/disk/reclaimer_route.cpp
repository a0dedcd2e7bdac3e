// The reclaimer's way: which rungs are climbed, with which age, and until when.
#include <algorithm>

#include "daemon/disk/climb.h"

namespace buildwarden::disk {

bool Reclaimer::can_free(const ports::Place& place) const {
  return std::any_of(parts_.rungs.begin(), parts_.rungs.end(),
                     [&place](const ports::Rung* rung) { return rung->frees(place); });
}

bool Reclaimer::over(const Climb& climb) const {
  const bool forbidden = parts_.settings.dry_run && !climb.request.dry_run;
  const bool gives_way = climb.only != nullptr && mutex_.has_waiters();
  return loop_timer_.stopped() || forbidden || gives_way || climb.at.reached || !climb.at.can_help ||
         parts_.clock.now().boot >= climb.until;
}

bool Reclaimer::outdated(const Climb& climb) const { return !climb.request.dry_run && climb.settings != settings_; }

std::vector<policy::RungTurn> Reclaimer::turns(policy::Level level) const {
  policy::LadderRequest request;
  request.level = level;
  request.keep_used_within = parts_.settings.disk.keep_used_within;
  request.grace = parts_.settings.disk.grace;
  request.builder_prune = parts_.settings.on_full.builder_prune;
  request.purge_builds = parts_.settings.on_full.purge_builds;
  request.terminate_instance = parts_.settings.on_full.terminate_instance;
  request.only_gentle = parts_.only_gentle && parts_.only_gentle();
  return policy::climb(request);
}

// A rung climbs as high as the filesystems that it frees need it: one that is critical opens no second pass on another.
std::vector<Reclaimer::Leg> Reclaimer::legs(const Climb& climb) const {
  std::vector<Leg> legs;
  for (const auto& turn : turns(climb.at.level)) {
    for (auto* rung : parts_.rungs) {
      if (rung->id() != turn.rung) continue;
      const auto need = standing_of(climb, *rung, "");
      if (!need.can_help) continue;
      const auto own = turns(need.level);
      const auto same = std::find_if(own.begin(), own.end(), [&turn](const policy::RungTurn& one) {
        return one.rung == turn.rung && one.pass == turn.pass;
      });
      if (same != own.end()) legs.push_back(Leg{rung, *same});
    }
  }
  return legs;
}

std::optional<ports::LastResortView> Reclaimer::last_resort(const Climb& climb) const {
  if (!climb.request.dry_run) return std::nullopt;
  for (const auto& filesystem : climb.seen) {
    const auto own = turns(filesystem.level);
    const bool has_last = !own.empty() && own.back().rung == policy::RungId::kLastResort;
    const policy::Goal uncritical{filesystem.marks.critical, filesystem.marks.critical_inodes};
    const bool is_short = filesystem.reading && !policy::reached(uncritical, *filesystem.reading);
    if (!filesystem.gate || !has_last || !is_short || climb.spared.contains(filesystem.device)) continue;
    for (const auto* rung : parts_.rungs) {
      if (auto view = rung->last_resort(filesystem)) return view;
    }
  }
  return std::nullopt;
}

bool Reclaimer::helps(const Climb& climb, const ports::Rung& rung, const std::string& device) const {
  return standing_of(climb, rung, device).can_help;
}

Standing Reclaimer::standing_of_collection(const Climb& climb) const {
  return standing_endless(climb.seen, [&](const ports::Place& place) { return climb.only->frees(place); });
}

Standing Reclaimer::standing_of(const Climb& climb) const {
  if (climb.only != nullptr) return standing_of_collection(climb);
  return standing(climb.seen, climb.request,
                  [&](const ports::Place& place) { return can_free(place) && !climb.spared.contains(place.device); });
}

Standing Reclaimer::standing_of(const Climb& climb, const ports::Rung& rung, const std::string& device) const {
  return standing_at(climb, [&](const ports::Place& place) {
    return rung.frees(place) && (device.empty() || place.device == device);
  });
}

Standing Reclaimer::standing_at(const Climb& climb, const Frees& where) const {
  if (climb.only != nullptr) return standing_of_collection(climb);
  return standing_there(climb.seen, climb.request, [&](const ports::Place& place) {
    return !climb.spared.contains(place.device) && where(place);
  });
}

}  // namespace buildwarden::disk
