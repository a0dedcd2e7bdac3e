#include "daemon/telemetry/event_log.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/format.h"
#include "common/log.h"
#include "common/visible_text.h"

namespace buildwarden::telemetry {
namespace {

struct FieldText {
  std::string operator()(std::int64_t value) const { return format("{}", value); }
  std::string operator()(double value) const { return format("{}", value); }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(const std::string& value) const {
    const bool bare = !value.empty() && value.find_first_of(" \"={}") == std::string::npos;
    if (bare) return value;
    std::string quoted = "\"";
    for (const char character : value) {
      if (character == '"' || character == '\\') quoted += '\\';
      quoted += character;
    }
    return quoted + "\"";
  }
};

void write_to_log(const ports::Event& event) {
  const std::string line = journal_line(event);
  switch (event.severity) {
    case ports::Severity::kInfo: log_info(line); break;
    case ports::Severity::kWarning: log_warning(line); break;
    case ports::Severity::kError: log_error(line); break;
  }
}

}  // namespace

std::string journal_line(const ports::Event& event) {
  std::string line;
  line += visible(event.kind);
  if (!event.rule.empty()) {
    line += ' ';
    line += visible(event.rule);
  }
  line += ": ";
  line += visible(event.reason);
  if (event.fields.empty()) return line;
  std::string_view separator = " {";
  for (const auto& [name, value] : event.fields) {
    line += separator;
    line += visible(name);
    line += '=';
    line += visible(std::visit(FieldText{}, value));
    separator = " ";
  }
  return line + "}";
}

EventLog::EventLog(const Clock& clock, std::size_t capacity)
    : clock_(clock), capacity_(std::max<std::size_t>(capacity, 1)) {}

void EventLog::hold() { held_ = true; }

void EventLog::begin(std::uint64_t first) {
  last_id_ = std::max<std::uint64_t>(first, 1) - 1;
  held_ = false;
  for (auto& recorded : std::exchange(waiting_, {})) keep(std::move(recorded));
}

void EventLog::remember(std::vector<ports::RecordedEvent> past) {
  const auto limit = ring_.empty() ? last_id_ + 1 : ring_.front().id;
  while (!past.empty() && ring_.size() < capacity_) {
    auto latest = std::move(past.back());
    past.pop_back();
    if (latest.id < limit) ring_.push_front(std::move(latest));
  }
  if (!ring_.empty()) forgotten_id_ = ring_.front().id - 1;
}

void EventLog::record(ports::Event event) {
  write_to_log(event);
  count(event.kind);
  ports::RecordedEvent recorded{0, clock_.now().wall, std::move(event)};
  if (!held_) {
    keep(std::move(recorded));
  } else if (waiting_.size() < capacity_) {
    waiting_.push_back(std::move(recorded));
  }
}

void EventLog::keep(ports::RecordedEvent recorded) {
  recorded.id = ++last_id_;
  ring_.push_back(recorded);
  if (ring_.size() > capacity_) {
    forgotten_id_ = ring_.front().id;
    ring_.pop_front();
  }
  // Not the one in the ring: a listener that records may push that out.
  tell(recorded);
}

void EventLog::count(const std::string& kind) {
  const auto known = counts_.find(kind);
  if (known != counts_.end()) {
    ++known->second;
  } else {
    ++counts_[counts_.size() < kMostKinds ? kind : "other"];
  }
}

void EventLog::tell(const ports::RecordedEvent& recorded) {
  followers_.remove_if([](const std::shared_ptr<Follower>& follower) { return follower->gone; });
  const auto present = followers_;
  for (const auto& follower : present) {
    if (!follower->gone) follower->listener(recorded);
  }
}

std::vector<ports::RecordedEvent> EventLog::since(std::uint64_t after, std::size_t most) const {
  const auto is_older = [](std::uint64_t id, const ports::RecordedEvent& recorded) { return id < recorded.id; };
  const auto from = std::upper_bound(ring_.begin(), ring_.end(), after, is_older);
  const auto amount = std::min(static_cast<std::size_t>(ring_.end() - from), most);
  return {from, from + static_cast<std::ptrdiff_t>(amount)};
}

std::shared_ptr<void> EventLog::subscribe(Listener listener) {
  const auto follower = std::make_shared<Follower>(Follower{std::move(listener), false});
  followers_.push_back(follower);
  return {follower.get(), [follower](void*) { follower->gone = true; }};
}

}  // namespace buildwarden::telemetry
