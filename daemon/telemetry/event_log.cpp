#include "daemon/telemetry/event_log.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/format.h"
#include "common/log.h"

namespace buildwarden::telemetry {
namespace {

void append_printable(std::string& line, std::string_view text) {
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte < 0x20 || byte == 0x7f) {
      line += format("\\x{:02x}", byte);
    } else {
      line += character;
    }
  }
}

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
  append_printable(line, event.kind);
  if (!event.rule.empty()) {
    line += ' ';
    append_printable(line, event.rule);
  }
  line += ": ";
  append_printable(line, event.reason);
  if (event.fields.empty()) return line;
  std::string_view separator = " {";
  for (const auto& [name, value] : event.fields) {
    line += separator;
    append_printable(line, name);
    line += '=';
    append_printable(line, std::visit(FieldText{}, value));
    separator = " ";
  }
  return line + "}";
}

EventLog::EventLog(const Clock& clock, std::size_t capacity)
    : clock_(clock), capacity_(std::max<std::size_t>(capacity, 1)) {}

void EventLog::record(ports::Event event) {
  write_to_log(event);
  count(event.kind);
  ring_.push_back({++last_id_, clock_.now().wall, std::move(event)});
  // A copy: a listener that records may push this one out of the ring.
  const ports::RecordedEvent recorded = ring_.back();
  if (ring_.size() > capacity_) ring_.pop_front();
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
  std::vector<ports::RecordedEvent> found;
  if (ring_.empty() || after >= last_id_) return found;
  const std::uint64_t first = ring_.front().id;
  const std::size_t skip = after < first ? 0 : static_cast<std::size_t>(after - first + 1);
  const std::size_t amount = std::min(ring_.size() - skip, most);
  const auto from = ring_.begin() + static_cast<std::ptrdiff_t>(skip);
  found.assign(from, from + static_cast<std::ptrdiff_t>(amount));
  return found;
}

std::shared_ptr<void> EventLog::subscribe(Listener listener) {
  const auto follower = std::make_shared<Follower>(Follower{std::move(listener), false});
  followers_.push_back(follower);
  return {follower.get(), [follower](void*) { follower->gone = true; }};
}

}  // namespace buildwarden::telemetry
