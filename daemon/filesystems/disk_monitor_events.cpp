#include "daemon/filesystems/disk_monitor_events.h"

#include <string>

#include "common/format.h"

namespace buildwarden::disk {
namespace {

ports::Severity severity_of(policy::Level level) {
  switch (level) {
    case policy::Level::kOk: return ports::Severity::kInfo;
    case policy::Level::kLow:
    case policy::Level::kUnknown: return ports::Severity::kWarning;
    case policy::Level::kCritical:
    case policy::Level::kExhausted: return ports::Severity::kError;
  }
  return ports::Severity::kError;
}

}  // namespace

ports::Event level_event(const LevelChange& change) {
  const auto& view = change.filesystem;
  const auto from = std::string(policy::to_string(change.from));
  const auto level = std::string(policy::to_string(view.pressure.level));
  ports::Event event;
  event.kind = "disk.level";
  event.severity = severity_of(view.pressure.level);
  event.rule = view.pressure.rule;
  const auto change_text = from == level ? "is " + level : "went from " + from + " to " + level;
  event.reason = format("{} {}: {}{}.", view.mount, change_text, view.pressure.reason,
                        view.error.empty() ? "" : " (" + view.error + ")");
  event.fields.emplace_back("device", view.device);
  event.fields.emplace_back("mount", view.mount);
  event.fields.emplace_back("from", from);
  event.fields.emplace_back("level", level);
  event.fields.emplace_back("gate", view.gate);
  event.fields.emplace_back("low_bytes", view.marks.low);
  event.fields.emplace_back("critical_bytes", view.marks.critical);
  event.fields.emplace_back("target_bytes", view.marks.target);
  event.fields.emplace_back("fill_bytes_per_second", view.pressure.fill_bytes_per_second);
  if (!view.reading || !view.error.empty()) return event;
  event.fields.emplace_back("total_bytes", view.reading->total);
  event.fields.emplace_back("free_bytes", view.reading->free);
  event.fields.emplace_back("free_inodes", view.reading->free_inodes);
  return event;
}

ports::Event marks_event(const MarksMistake& mistake) {
  const bool mended = mistake.text.empty();
  ports::Event event;
  event.kind = "disk.marks";
  event.severity = mended ? ports::Severity::kInfo : ports::Severity::kError;
  event.rule = mended ? "mended" : "marks_beyond_size";
  event.reason = format("{}: {}.", mistake.mount, mended ? "the configured marks fit again" : mistake.text);
  event.fields.emplace_back("mount", mistake.mount);
  return event;
}

ports::Event clock_step_event(Duration step, Duration untrusted) {
  ports::Event event;
  event.kind = "clock.step";
  event.severity = ports::Severity::kWarning;
  const auto size = short_duration(step < Duration{0} ? -step : step);
  event.reason = format("The wall clock was set {} by {}: build cache is not deleted by age for {}.",
                        step < Duration{0} ? "back" : "forward", size, short_duration(untrusted));
  event.rule = "clock_step";
  event.fields.emplace_back("step_seconds", static_cast<double>(step.count()) / 1000.0);
  return event;
}

}  // namespace buildwarden::disk
