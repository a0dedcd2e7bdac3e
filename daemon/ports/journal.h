// Where every decision is recorded with its numbers.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/result.h"
#include "common/time.h"

namespace buildwarden::ports {

enum class Severity : std::uint8_t { kInfo, kWarning, kError };

using Field = std::variant<std::int64_t, double, bool, std::string>;

struct Event {
  std::string kind;  // bounded set, dotted: "disk.level", "reclaim.step", "builder.healed", "job.started"
  Severity severity = Severity::kInfo;
  std::string reason;                                 // one sentence with its numbers, for people
  std::string rule;                                   // the rule that fired
  std::vector<std::pair<std::string, Field>> fields;  // the numbers again, for machines; snake_case names
};

// The field of an event that says by itself that it is made on demand.
inline constexpr const char* kOnDemandField = "on_demand";

// Whether anybody who may start jobs can make as many of these as he likes: they push out one another, never the rest.
// Jobs come and go, a plan is made for everybody who asks, and what says so of itself (kOnDemandField) is one of them
// too.
inline bool is_on_demand(const Event& event) {
  if (event.kind.starts_with("job.")) return true;
  for (const auto& [name, value] : event.fields) {
    const bool tells = name == "dry_run" || name == kOnDemandField;
    if (tells && std::get_if<bool>(&value) != nullptr && std::get<bool>(value)) return true;
  }
  return false;
}

class Journal {
 public:
  virtual ~Journal() = default;
  // Never blocks, never fails; stamps the event with the time and a number that only grows, over restarts too. Ids of
  // 64 digits in the reason are cut to 12; the fields have them whole.
  virtual void record(Event event) = 0;
};

// What the journal makes of an event.
struct RecordedEvent {
  std::uint64_t id = 0;  // below 2^53, so that JSON carries it
  WallTime at;
  Event event;
};

class EventSource {
 public:
  virtual ~EventSource() = default;
  // Recorded events with a larger id than `after`, oldest first, at most `most`.
  [[nodiscard]] virtual std::vector<RecordedEvent> since(std::uint64_t after, std::size_t most) const = 0;
  [[nodiscard]] virtual std::uint64_t last_id() const = 0;
  // The newest event that since() no longer gives, of those that are not made on demand; 0: none was forgotten. Whoever
  // has seen less has missed some.
  [[nodiscard]] virtual std::uint64_t forgotten_id() const = 0;
  // Why events are not being kept over a restart, "" when they are.
  [[nodiscard]] virtual const std::string& error() const = 0;
};

struct StoredEvents {
  std::vector<RecordedEvent> events;  // oldest first
  bool complete = true;               // false: what was stored before could not be used, and had larger ids perhaps
};

// The journal over restarts: bounded, the oldest go first, those made on demand by a bound of their own.
class EventStore {
 public:
  virtual ~EventStore() = default;
  // The latest `most` of those made on demand, and as many of the others. An empty store is empty, not an error.
  virtual boost::asio::awaitable<Result<StoredEvents>> load_events(std::size_t most) = 0;
  // In the order given, an earlier event of the same id is replaced. After an error those at the front may be kept; the
  // same events may be given again.
  virtual boost::asio::awaitable<Result<void>> append_events(std::vector<RecordedEvent> events) = 0;
};

}  // namespace buildwarden::ports
