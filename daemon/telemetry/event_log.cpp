#include "daemon/telemetry/event_log.h"

#include <algorithm>
#include <chrono>
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

void write_line(const ports::Event& event, const std::string& line) {
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

EventLog::EventLog(const Clock& clock, std::size_t capacity) : clock_(clock) {
  rest_.capacity = std::max<std::size_t>(capacity, 1);
  on_demand_.capacity = std::max<std::size_t>(capacity / kOnDemandShare, 1);
}

void EventLog::Ring::add(ports::RecordedEvent recorded) {
  events.push_back(std::move(recorded));
  if (events.size() <= capacity) return;
  forgotten = events.front().id;
  events.pop_front();
}

void EventLog::Ring::add_earlier(ports::RecordedEvent recorded) {
  if (events.size() < capacity) {
    events.push_front(std::move(recorded));
  } else {
    forgotten = std::max(forgotten, recorded.id);
  }
}

void EventLog::hold() { held_ = true; }

void EventLog::begin(std::uint64_t first) {
  last_id_ = std::max<std::uint64_t>(first, 1) - 1;
  held_ = false;
  for (auto& recorded : std::exchange(waiting_, {})) keep(std::move(recorded));
}

void EventLog::remember(std::vector<ports::RecordedEvent> past) {
  const auto known = since(0, 1);
  const auto limit = known.empty() ? last_id_ + 1 : known.front().id;
  while (!past.empty()) {
    auto latest = std::move(past.back());
    past.pop_back();
    if (latest.id < limit) ring_of(latest.event).add_earlier(std::move(latest));
  }
  // What was before the earliest that the store gave was there, too.
  if (!rest_.events.empty()) rest_.forgotten = std::max(rest_.forgotten, rest_.events.front().id - 1);
}

// The journal has a ring for them; the log of the host, which has a limit for all that a service says, has none.
void EventLog::write_to_log(const ports::Event& event) {
  auto line = journal_line(event);
  if (ports::is_on_demand(event)) line = on_demand_lines_.line(line, std::chrono::steady_clock::now());
  if (!line.empty()) write_line(event, line);
}

void EventLog::record(ports::Event event) {
  write_to_log(event);
  count(event.kind);
  ports::RecordedEvent recorded{0, clock_.now().wall, std::move(event)};
  if (!held_) {
    keep(std::move(recorded));
  } else if (waiting_.size() < rest_.capacity) {
    waiting_.push_back(std::move(recorded));
  }
}

void EventLog::keep(ports::RecordedEvent recorded) {
  recorded.id = ++last_id_;
  ring_of(recorded.event).add(recorded);
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
  auto one = std::upper_bound(rest_.events.begin(), rest_.events.end(), after, is_older);
  auto other = std::upper_bound(on_demand_.events.begin(), on_demand_.events.end(), after, is_older);
  std::vector<ports::RecordedEvent> found;
  while (found.size() < most && (one != rest_.events.end() || other != on_demand_.events.end())) {
    const bool is_rest = other == on_demand_.events.end() || (one != rest_.events.end() && one->id < other->id);
    found.push_back(is_rest ? *one++ : *other++);
  }
  return found;
}

std::shared_ptr<void> EventLog::subscribe(Listener listener) {
  const auto follower = std::make_shared<Follower>(Follower{std::move(listener), false});
  followers_.push_back(follower);
  return {follower.get(), [follower](void*) { follower->gone = true; }};
}

}  // namespace buildwarden::telemetry
