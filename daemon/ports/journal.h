// Where every decision is recorded with its numbers.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

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

class Journal {
 public:
  virtual ~Journal() = default;
  // Never blocks, never fails; stamps the event with the time and a number that only grows.
  virtual void record(Event event) = 0;
};

// What the journal makes of an event.
struct RecordedEvent {
  std::uint64_t id = 0;
  WallTime at;
  Event event;
};

class EventSource {
 public:
  virtual ~EventSource() = default;
  // Recorded events with a larger id than `after`, oldest first, at most `most`.
  [[nodiscard]] virtual std::vector<RecordedEvent> since(std::uint64_t after, std::size_t most) const = 0;
  [[nodiscard]] virtual std::uint64_t last_id() const = 0;
};

}  // namespace buildwarden::ports
