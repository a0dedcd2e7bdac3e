// Label values that are known before the first event, so that their counters exist at zero: a rate over a counter that
// appears with its first increment misses that increment. Others are added as they come, bounded.
#pragma once

#include <array>
#include <string_view>

namespace buildwarden::telemetry {

inline constexpr std::array<std::string_view, 69> kEventKinds = {
    "ballast.failed",
    "ballast.given",
    "ballast.made",
    "ballast.removed",
    "builder.asked",
    "builder.fresh_volume",
    "builder.healed",
    "builder.history_kept",
    "builder.image",
    "builder.let_go",
    "builder.state",
    "builder.step",
    "builder.step_failed",
    "builder.would",
    "checkout.kept",
    "checkout.left",
    "clock.step",
    "config.distrusted",
    "config.refused",
    "config.reloaded",
    "daemon.started",
    "daemon.stopped",
    "daemon.unclean_end",
    "deletion.refused",
    "disk.image_store",
    "disk.level",
    "disk.marks",
    "emulation.lost",
    "emulation.missing",
    "emulation.proven",
    "emulation.restored",
    "emulation.unknown",
    "emulation.would",
    "engine.connected",
    "engine.lost",
    "instance.intent_discarded",
    "instance.intent_not_saved",
    "instance.state",
    "instance.step",
    "instance.would",
    "job.context_not_reused",
    "job.ended",
    "job.lease_not_saved",
    "job.refused",
    "job.started",
    "ledger.gap",
    "prefetch.done",
    "prefetch.failed",
    "prefetch.waiting",
    "prefetch.would",
    "reclaim.began",
    "reclaim.done",
    "reclaim.dropped",
    "reclaim.nothing_freed",
    "reclaim.rung_failed",
    "reclaim.short",
    "reclaim.step",
    "seed.given_up",
    "seed.none",
    "seed.not_saved",
    "seed.refused",
    "seed.restored",
    "seed.saved",
    "seed.trimmed",
    "state.not_saved",
    "state.saved_again",
    "state.set_aside",
    "state.unreadable",
    "other",
};

// The rules of policy::reconcile by which a builder that was warm is healed.
inline constexpr std::array<std::string_view, 16> kHealReasons = {
    "asked",        "crash_loop",    "created",    "dead",         "exited",       "folder_changed",
    "frozen",       "front_changed", "front_dead", "front_exited", "front_folder", "front_gone",
    "front_paused", "paused",        "removed",    "spec_changed",
};

}  // namespace buildwarden::telemetry
