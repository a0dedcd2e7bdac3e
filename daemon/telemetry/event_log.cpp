#include "daemon/telemetry/event_log.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <string_view>
#include <utility>

#include "common/format.h"
#include "common/log.h"
#include "common/short_ids.h"
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

struct PlainText {
  std::string operator()(std::int64_t value) const { return format("{}", value); }
  std::string operator()(double value) const { return format("{}", value); }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(const std::string& value) const { return visible(value); }
};

constexpr std::size_t kLongestName = 64;  // that journald takes

std::string journal_name(std::string_view name) {
  std::string made = "BUILDWARDEN_";
  for (const char letter : name) {
    const auto c = static_cast<unsigned char>(letter);
    made += c < 0x80 && std::isalnum(c) != 0 ? static_cast<char>(std::toupper(c)) : '_';
  }
  return made.substr(0, kLongestName);
}

LogLevel level_of(ports::Severity severity) {
  if (severity == ports::Severity::kError) return LogLevel::kError;
  return severity == ports::Severity::kWarning ? LogLevel::kWarning : LogLevel::kInfo;
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

JournalFields journal_fields(const ports::Event& event) {
  JournalFields fields;
  for (auto kind = std::string_view(event.kind); !kind.empty();) {
    fields.emplace_back("BUILDWARDEN_KIND", visible(kind));
    const auto dot = kind.rfind('.');
    kind = kind.substr(0, dot == std::string_view::npos ? 0 : dot);
  }
  if (!event.rule.empty()) fields.emplace_back("BUILDWARDEN_RULE", visible(event.rule));
  for (const auto& [name, value] : event.fields) {
    auto made = journal_name(name);
    if (made == "BUILDWARDEN_KIND" || made == "BUILDWARDEN_RULE") continue;
    fields.emplace_back(std::move(made), std::visit(PlainText{}, value));
  }
  return fields;
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
  if (!line.empty()) log_with_fields(level_of(event.severity), line, journal_fields(event));
}

void EventLog::record(ports::Event event) {
  event.reason = with_short_ids(event.reason);
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
