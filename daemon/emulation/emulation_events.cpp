// What emulation tells: events, readiness, the view.
#include <algorithm>
#include <chrono>
#include <utility>

#include "common/format.h"
#include "daemon/emulation/emulation.h"
#include "daemon/emulation/platform.h"

namespace buildwarden::emulation {
namespace {

using policy::PlatformState;

bool is_well(PlatformState state) { return state == PlatformState::kProven || state == PlatformState::kNative; }

}  // namespace

void Emulation::record(std::string kind, ports::Severity severity, const policy::PlatformStatus& about,
                       std::string reason, double seconds) {
  ports::Event event;
  event.kind = std::move(kind);
  event.severity = severity;
  event.rule = about.rule;
  event.reason = std::move(reason);
  event.fields.emplace_back("platform", about.platform);
  event.fields.emplace_back("handler", about.handler);
  event.fields.emplace_back("state", std::string(to_string(about.state)));
  event.fields.emplace_back("gone_seconds", seconds);
  parts_.journal.record(std::move(event));
}

// A loss that was seen and healed in one turn is one event; how long it was gone is since the last look at most.
void Emulation::tell_changes(const std::map<std::string, PlatformState>& before) {
  const auto now = parts_.clock.now().boot;
  bool gained = false;
  for (const auto& one : plan_.platforms) {
    const auto known = before.find(one.platform);
    const bool was_well = known != before.end() && is_well(known->second);
    const bool well = is_well(one.state);
    const auto last_good = good_at_.find(one.platform);
    const bool repaired = repaired_.contains(one.platform);
    if (well) {
      const auto gone = last_good == good_at_.end() ? Duration{0} : Duration(now - last_good->second);
      const auto seconds = std::chrono::duration<double>(gone).count();
      if (last_good == good_at_.end() && one.state == PlatformState::kProven) {
        record("emulation.proven", ports::Severity::kInfo, one, format("{} runs: {}", one.platform, one.reason), 0);
      } else if (last_good != good_at_.end() && (repaired || !was_well)) {
        ++restored_[one.platform];
        record("emulation.restored", ports::Severity::kWarning, one,
               format("{} runs again after {} at most: {}", one.platform, short_duration(gone),
                      repaired ? repaired_[one.platform] : one.reason),
               seconds);
      }
      gained = gained || repaired || !was_well;
      good_at_[one.platform] = now;
    } else if (was_well) {
      const bool lost = one.state != PlatformState::kUnknown;
      record(lost ? "emulation.lost" : "emulation.unknown", ports::Severity::kWarning, one,
             format("{} {}: {}", one.platform, lost ? "does not run any more" : "cannot be tried", one.reason), 0);
    } else if (known == before.end() || known->second != one.state) {
      record("emulation.missing", ports::Severity::kInfo, one, format("{} does not run: {}", one.platform, one.reason),
             0);
    }
  }
  repaired_.clear();
  if (gained && parts_.on_proven) parts_.on_proven();
}

void Emulation::record_would() {
  std::string steps;
  for (const auto& step : plan_.steps) {
    steps += format("{}{} {} ({})", steps.empty() ? "" : ", ", to_string(step.action), step.platform, step.reason);
  }
  if (std::exchange(announced_, steps) == steps) return;
  ports::Event event;
  event.kind = "emulation.would";
  event.rule = "dry_run";
  event.reason = format("Without dry run it would: {}.", steps);
  parts_.journal.record(std::move(event));
}

ports::EmulatorsView Emulation::emulators_view() const {
  ports::EmulatorsView view;
  if (const auto* own = own_platform()) view.native = own->name;
  if (!is_wanted()) return view;
  view.emulators = plan_.platforms;
  view.restored = restored_;
  view.executed_at = executed_at_;
  view.execution = execution_;
  view.comparisons = comparisons_;
  view.executions = executions_;
  view.image = parts_.settings.emulation.image;
  return view;
}

std::set<std::string> Emulation::held_images() const {
  const auto& emulation = parts_.settings.emulation;
  const bool may_run = std::find(emulation.order.begin(), emulation.order.end(), "image") != emulation.order.end();
  if (!is_wanted() || !may_run || emulation.image.empty()) return {};
  // Of an archive it has its tag alone.
  return {emulation.image, emulation.image.substr(0, emulation.image.find('@'))};
}

std::vector<ports::NotReady> Emulation::not_ready() const {
  std::vector<ports::NotReady> missing;
  if (!is_wanted()) return missing;
  const bool by_name = !parts_.settings.emulation.all_platforms;
  for (const auto& one : plan_.platforms) {
    const bool ran_once = good_at_.contains(one.platform);
    const bool failing = one.state == PlatformState::kBroken || one.state == PlatformState::kMissing;
    if (failing && (by_name || ran_once || one.rule == "backing_off" || one.rule == "broken")) {
      missing.push_back({"emulation", format("{}: {}", one.platform, one.reason)});
    }
    if (one.state == PlatformState::kUnknown)
      missing.push_back({"emulation", format("{}: {}", one.platform, one.reason)});
  }
  return missing;
}

}  // namespace buildwarden::emulation
