// Which events of the journal a client wants: ?kind=, ?severity=, ?from= of GET /v1/events.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/time.h"
#include "daemon/api/message.h"
#include "daemon/ports/journal.h"

namespace buildwarden::api {

struct EventFilter {
  // One of these, or below one: "reclaim" is every "reclaim.…". Empty: all.
  std::vector<std::string> kinds;
  ports::Severity least = ports::Severity::kInfo;
  std::optional<WallTime> from;  // at this time or later

  [[nodiscard]] bool is_set() const { return !kinds.empty() || least != ports::Severity::kInfo || from.has_value(); }
  [[nodiscard]] bool takes(const ports::RecordedEvent& event) const;
};

// kInvalid names the parameter and says what would be right.
Result<EventFilter> event_filter_of(const Request& request);

}  // namespace buildwarden::api
