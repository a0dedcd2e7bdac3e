#include "daemon/telemetry/families.h"

#include <array>
#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <string>

#include "daemon/telemetry/event_kinds.h"
#include "daemon/telemetry/family.h"

namespace buildwarden::telemetry {
namespace {

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

constexpr std::array kLevels = {policy::Level::kOk, policy::Level::kLow, policy::Level::kCritical,
                                policy::Level::kExhausted, policy::Level::kUnknown};

constexpr std::array kTerminationStates = {
    policy::TerminationState::kNone,     policy::TerminationState::kHeld,      policy::TerminationState::kWaiting,
    policy::TerminationState::kDraining, policy::TerminationState::kReporting, policy::TerminationState::kTerminating,
    policy::TerminationState::kDone,     policy::TerminationState::kFailed,    policy::TerminationState::kWithdrawing,
};

// Free space and what is derived from it, only of a reading that is good now: a stale number looks like a good one.
void add_space(Families& families, const ports::DiskView& view) {
  auto size = gauges("disk_size_bytes", "Size of the filesystem in bytes.");
  auto free = gauges("disk_free_bytes", "Bytes that an unprivileged writer may still have on the filesystem.");
  auto inodes = gauges("disk_free_inodes", "Inodes that are free; absent on a filesystem without a limit of them.");
  auto rate =
      gauges("disk_fill_bytes_per_second", "How fast the filesystem fills, in bytes a second; below 0: empties.");
  auto until = gauges("disk_seconds_to_critical", "Seconds until free space is critical at this rate; +Inf: never.");
  for (const auto& disk : view.filesystems) {
    if (!disk.reading || !disk.error.empty()) continue;
    const Labels labels = {{"mount", disk.mount}};
    add(size, labels, disk.reading->total);
    add(free, labels, disk.reading->free);
    if (disk.reading->total_inodes > 0) add(inodes, labels, disk.reading->free_inodes);
    add(rate, labels, disk.pressure.fill_bytes_per_second);
    const auto& left = disk.pressure.until_critical;
    add(until, labels, left ? seconds(*left) : std::numeric_limits<double>::infinity());
  }
  keep(families, {&size, &free, &inodes, &rate, &until});
}

void add_levels(Families& families, const ports::DiskView& view) {
  auto level = gauges("disk_level", "1 for the level that the filesystem is at, 0 for the others.");
  auto ballast = gauges("disk_ballast_bytes", "Bytes held in reserve on the filesystem, given back when it is full.");
  for (const auto& disk : view.filesystems) {
    for (const auto one : kLevels) {
      add(level, {{"mount", disk.mount}, {"level", std::string(to_string(one))}}, disk.pressure.level == one ? 1 : 0);
    }
    add(ballast, {{"mount", disk.mount}}, disk.ballast.bytes);
  }
  keep(families, {&level, &ballast});
}

// Who uses the filesystem, by kind: names have no bound.
void add_used(Families& families, const ports::DiskView& view) {
  auto used = gauges("disk_used_bytes", "Bytes on the filesystem by what they are; unattributed: of nobody known.");
  for (const auto& disk : view.filesystems) {
    std::map<std::string, Bytes> by_kind;
    for (const auto& user : disk.users) by_kind[user.kind] += user.bytes;
    const auto rest = disk.error.empty() ? disk.unattributed() : std::nullopt;
    if (rest) by_kind["unattributed"] = *rest;
    for (const auto& [kind, bytes] : by_kind) add(used, {{"mount", disk.mount}, {"kind", kind}}, bytes);
  }
  keep(families, {&used});
}

void add_marks(Families& families, const ports::DiskView& view) {
  auto mark = gauges("disk_mark_bytes",
                     "Free bytes of the mark: critical (jobs are refused), low (a reclaim begins), target (it ends).");
  for (const auto& disk : view.filesystems) {
    add(mark, {{"mount", disk.mount}, {"mark", "critical"}}, disk.marks.critical);
    add(mark, {{"mount", disk.mount}, {"mark", "low"}}, disk.marks.low);
    add(mark, {{"mount", disk.mount}, {"mark", "target"}}, disk.marks.target);
  }
  keep(families, {&mark});
}

}  // namespace

void add_disk(Families& families, const ports::DiskView& view) {
  add_space(families, view);
  add_levels(families, view);
  add_used(families, view);
  add_marks(families, view);
  auto reclaiming = gauges("reclaim_running", "Whether space is being made now.");
  add(reclaiming, {}, view.reclaiming ? 1 : 0);
  auto refused =
      gauges("reclaim_refused_roots", "Folders in which nothing is deleted, since another user decides what they are.");
  add(refused, {}, view.refused_roots.size());
  auto ledger = gauges("ledger_saved", "Whether the last save of the images' last use to disk was good.");
  add(ledger, {}, view.ledger_error.empty() ? 1 : 0);
  keep(families, {&reclaiming, &refused, &ledger});
}

void add_builders(Families& families, const ports::BuildersView& view) {
  auto up = gauges("builder_up", "Whether the builder is warm.");
  auto heals = counters("builder_heals_total", "Times that the builder was healed, by what was wrong with it.");
  auto cache = gauges("builder_cache_bytes", "Bytes of the builder's cache; absent until it was asked.");
  auto leases = gauges("builder_leases", "Jobs that hold the builder.");
  auto builds = gauges("builder_running_builds",
                       "Connections by which somebody builds on the builder; absent while that is not known.");
  for (const auto& builder : view.builders) {
    const Labels labels = {{"builder", builder.name}};
    add(up, labels, builder.state == policy::BuilderState::kWarm ? 1 : 0);
    add(leases, labels, builder.leases.size());
    if (builder.running_builds) add(builds, labels, *builder.running_builds);
    if (builder.cache_bytes) add(cache, labels, *builder.cache_bytes);
    auto reasons = builder.heals_by_reason;
    for (const auto& reason : kHealReasons) reasons.try_emplace(std::string(reason), 0);
    for (const auto& [reason, times] : reasons) add(heals, {{"builder", builder.name}, {"reason", reason}}, times);
  }
  keep(families, {&up, &heals, &cache, &leases, &builds});
}

void add_seeds(Families& families, const ports::SeedsView& view) {
  auto age =
      gauges("seed_age_seconds", "Age of the seed that the builder's location had when it was asked last, in seconds.");
  auto bytes = gauges("seed_bytes", "Bytes that the builder's seed unpacks to; absent while there is none.");
  for (const auto& seed : view.seeds) {
    if (!seed.there || !seed.age) continue;
    add(age, {{"builder", seed.builder}}, seconds(*seed.age));
    add(bytes, {{"builder", seed.builder}}, seed.there->unpacked_bytes);
  }
  keep(families, {&age, &bytes});
}

void add_emulators(Families& families, const ports::EmulatorsView& view) {
  auto proven = gauges("emulator_proven", "Whether a program of the platform ran when one was last executed.");
  auto restored = counters("emulator_restored_total", "Times that the platform was lost and came back.");
  auto took =
      gauges("emulator_execution_seconds", "How long executing the programs of all platforms took, in seconds.");
  for (const auto& one : view.emulators) {
    const bool runs = one.state == policy::PlatformState::kProven || one.state == policy::PlatformState::kNative;
    const auto times = view.restored.find(one.platform);
    add(proven, {{"platform", one.platform}}, runs ? 1 : 0);
    add(restored, {{"platform", one.platform}}, times == view.restored.end() ? 0 : times->second);
  }
  if (view.executed_at) add(took, {}, seconds(view.execution));
  keep(families, {&proven, &restored, &took});
}

void add_jobs(Families& families, const ports::JobsView& view) {
  auto running = gauges("jobs_running", "Jobs that hold a lease.");
  auto admissions = counters("job_admissions_total", "Jobs that asked to start, by the verdict.");
  add(running, {}, view.leases.size());
  add(admissions, {{"verdict", "run"}}, view.admitted);
  add(admissions, {{"verdict", "refuse"}}, view.refused);
  auto waits = family("job_wait_seconds", "How long jobs waited for their verdict, in seconds.",
                      prometheus::MetricType::Histogram);
  const auto add_waits = [&waits](const char* verdict, const ports::JobWaits& waited) {
    waits.metric.push_back(
        histogram_metric({{"verdict", verdict}}, waited.buckets, ports::kJobWaitBounds, waited.seconds));
  };
  add_waits("run", view.waits_of_admitted);
  add_waits("refuse", view.waits_of_refused);
  keep(families, {&running, &admissions, &waits});
}

void add_engine(Families& families, const ports::EngineStatus& status) {
  auto up = gauges("engine_up", "Whether the Docker engine answers.");
  add(up, {}, status.up ? 1 : 0);
  keep(families, {&up});
}

void add_config(Families& families, const ports::ConfigView& view) {
  auto reloads = counters("config_reloads_total", "Times that the configuration was loaded again, by the result.");
  auto good = gauges("config_last_reload_success", "Whether the last load of the configuration was good.");
  auto at =
      gauges("config_loaded_timestamp_seconds", "When the configuration in force was loaded, in seconds since 1970.");
  auto waiting = gauges("config_restart_needed", "Keys whose new value waits for a restart.");
  add(reloads, {{"result", "taken"}}, view.taken);
  add(reloads, {{"result", "refused"}}, view.refused);
  add(good, {}, view.error.empty() ? 1 : 0);
  add(at, {}, seconds(std::chrono::duration_cast<Duration>(view.loaded_at.time_since_epoch())));
  add(waiting, {}, view.restart_needed.size());
  keep(families, {&reloads, &good, &at, &waiting});
}

void add_termination(Families& families, const ports::TerminationView& view) {
  auto state = gauges("instance_termination_state",
                      "In 0.1 only, see instance_termination: 0 none, 1 held by a guard, 2 waiting, 3 draining, 4 "
                      "reporting, 5 terminating, 6 done, 7 failed, "
                      "8 withdrawing.");
  add(state, {}, static_cast<int>(view.state));
  auto states = gauges("instance_termination", "1 for the state that the termination is in, 0 for the others.");
  for (const auto one : kTerminationStates) {
    add(states, {{"state", std::string(to_string(one))}}, view.state == one ? 1 : 0);
  }
  keep(families, {&state, &states});
}

void add_events(Families& families, const EventLog& events) {
  auto total = counters("events_total", "Events in the journal since the start, by kind.");
  auto kinds = events.counts();
  for (const auto& kind : kEventKinds) kinds.try_emplace(std::string(kind), 0);
  for (const auto& [kind, count] : kinds) add(total, {{"kind", kind}}, count);
  auto saved = gauges("journal_saved", "Whether events are being kept over a restart.");
  add(saved, {}, events.error().empty() ? 1 : 0);
  keep(families, {&total, &saved});
}

}  // namespace buildwarden::telemetry
