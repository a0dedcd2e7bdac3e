#include "daemon/state/event_table.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/format.h"
#include "daemon/state/event_json.h"

namespace buildwarden::state {
namespace {

ports::Severity severity_of(std::int64_t number) {
  switch (number) {
    case 0: return ports::Severity::kInfo;
    case 1: return ports::Severity::kWarning;
    default: return ports::Severity::kError;
  }
}

ports::RecordedEvent event_of(const Statement& row) {
  ports::RecordedEvent recorded;
  recorded.id = static_cast<std::uint64_t>(row.number(0));
  recorded.at = WallTime{Duration{row.number(1)}};
  recorded.event.kind = row.text(2);
  recorded.event.severity = severity_of(row.number(3));
  recorded.event.rule = row.text(4);
  recorded.event.reason = row.text(5);
  recorded.event.fields = read_fields(row.text(6));
  return recorded;
}

// ports::is_on_demand() on a row. A quote within a field is written as \", so no text can look like the field.
constexpr const char* kOnDemand =
    "(kind GLOB 'job.*' OR instr(fields, '\"dry_run\":true') > 0 OR instr(fields, '\"on_demand\":true') > 0)";

std::string condition(EventSort sort) {
  switch (sort) {
    case EventSort::kAll: return "1";
    case EventSort::kOnDemand: return kOnDemand;
    case EventSort::kOthers: return format("NOT {}", kOnDemand);
  }
  return "0";
}

}  // namespace

Result<std::vector<ports::RecordedEvent>> select_events(Connection& connection, std::size_t most, std::int64_t before,
                                                        EventSort sort) {
  auto select = connection.prepare(format(
      "SELECT id, at, kind, severity, rule, reason, fields FROM events WHERE id < ?2 AND {} ORDER BY id DESC LIMIT ?1",
      condition(sort)));
  if (!select) return std::move(select).error();
  select->bind(1, static_cast<std::int64_t>(most));
  select->bind(2, before);
  std::vector<ports::RecordedEvent> events;
  for (;;) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) break;
    events.push_back(event_of(*select));
  }
  std::reverse(events.begin(), events.end());
  return events;
}

Result<void> insert_events(Connection& connection, std::span<const ports::RecordedEvent> events) {
  auto insert = connection.prepare(
      "INSERT OR REPLACE INTO events (id, at, kind, severity, rule, reason, fields) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
  if (!insert) return std::move(insert).error();
  for (const auto& [id, at, event] : events) {
    insert->bind(1, static_cast<std::int64_t>(id));
    insert->bind(2, at.time_since_epoch().count());
    insert->bind(3, event.kind);
    insert->bind(4, static_cast<std::int64_t>(event.severity));
    insert->bind(5, event.rule);
    insert->bind(6, event.reason);
    insert->bind(7, write_fields(event.fields));
    if (auto done = insert->run(); !done) return done;
  }
  return {};
}

Result<void> trim_events(Connection& connection, EventSort sort, std::size_t keep) {
  const auto of_sort = condition(sort);
  return connection.execute(format(
      "DELETE FROM events WHERE {} AND id <= (SELECT id FROM events WHERE {} ORDER BY id DESC LIMIT 1 OFFSET {})",
      of_sort, of_sort, keep));
}

Result<bool> drop_oldest_events(Connection& connection, EventSort sort, std::size_t amount) {
  const auto of_sort = condition(sort);
  const auto count = connection.number(format("SELECT count(*) FROM events WHERE {}", of_sort));
  if (!count) return count.error();
  if (*count <= static_cast<std::int64_t>(amount)) return false;
  auto done = connection.execute(
      format("DELETE FROM events WHERE {} AND id < (SELECT id FROM events WHERE {} ORDER BY id LIMIT 1 OFFSET {})",
             of_sort, of_sort, amount));
  if (!done) return std::move(done).error();
  return true;
}

}  // namespace buildwarden::state
