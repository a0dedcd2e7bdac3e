#include "daemon/api/chart_events.h"

#include <limits>
#include <optional>
#include <string_view>
#include <utility>

namespace buildwarden::api {
namespace {

template <class Value>
Value field_of(const ports::Event& event, std::string_view wanted) {
  for (const auto& [name, value] : event.fields) {
    if (name == wanted && std::holds_alternative<Value>(value)) return std::get<Value>(value);
  }
  return Value{};
}

std::optional<ChartEvent> chart_event_of(const ports::RecordedEvent& recorded) {
  const auto& event = recorded.event;
  const bool is_heal = event.kind == "builder.healed";
  const bool is_end = event.kind == "reclaim.done" || event.kind == "reclaim.short";
  const bool took = is_end && !field_of<bool>(event, "dry_run") && field_of<std::int64_t>(event, "steps") > 0;
  if (!is_heal && !took) return std::nullopt;
  return ChartEvent{recorded.at, is_heal, is_heal ? std::string() : field_of<std::string>(event, "mount"),
                    event.reason};
}

}  // namespace

void ChartEvents::look(const ports::EventSource& events, WallTime now) {
  for (const auto& recorded : events.since(seen_, std::numeric_limits<std::size_t>::max())) {
    seen_ = recorded.id;
    if (auto one = chart_event_of(recorded)) all_.push_back(*std::move(one));
  }
  while (!all_.empty() && (all_.size() > kMost || all_.front().at < now - kBack)) all_.pop_front();
}

}  // namespace buildwarden::api
