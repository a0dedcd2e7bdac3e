// Label values that are known before the first event, so that their counters exist at zero: a rate over a counter that
// appears with its first increment misses that increment. Others are added as they come, bounded.
#pragma once

#include <array>
#include <string_view>

namespace buildwarden::telemetry {

inline constexpr std::array<std::string_view, 8> kEventKinds = {
    "builder.healed", "disk.level", "engine.lost", "engine.connected",
    "job.started",    "job.ended",  "job.refused", "reclaim.step",
};

// The rules of policy::reconcile by which a builder is healed.
inline constexpr std::array<std::string_view, 5> kHealReasons = {"exited", "paused", "removed", "front_gone",
                                                                 "spec_changed"};

}  // namespace buildwarden::telemetry
