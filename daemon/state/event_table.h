// The journal's events in the database. Errors are the connection's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "common/result.h"
#include "daemon/ports/journal.h"
#include "daemon/state/sqlite.h"

namespace buildwarden::state {

// Which events are meant; those made on demand: see ports::is_on_demand().
enum class EventSort : std::uint8_t { kAll, kOnDemand, kOthers };

// The latest `most` of those with a smaller id than `before`, oldest first. What cannot be understood of an event's
// fields is left out.
Result<std::vector<ports::RecordedEvent>> select_events(Connection& connection, std::size_t most,
                                                        std::int64_t before = std::numeric_limits<std::int64_t>::max(),
                                                        EventSort sort = EventSort::kAll);
// Inserts or replaces.
Result<void> insert_events(Connection& connection, std::span<const ports::RecordedEvent> events);
// All of that sort but the latest `keep`.
Result<void> trim_events(Connection& connection, EventSort sort, std::size_t keep);
// The oldest `amount` of that sort; false: there are no more than that, and all stay.
Result<bool> drop_oldest_events(Connection& connection, EventSort sort, std::size_t amount);

}  // namespace buildwarden::state
