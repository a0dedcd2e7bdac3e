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

}  // namespace

Result<std::vector<ports::RecordedEvent>> select_events(Connection& connection, std::size_t most, std::int64_t before) {
  auto select = connection.prepare(
      "SELECT id, at, kind, severity, rule, reason, fields FROM events WHERE id < ?2 ORDER BY id DESC LIMIT ?1");
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

Result<void> trim_events(Connection& connection, std::size_t keep) {
  return connection.execute(
      format("DELETE FROM events WHERE id <= (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET {})", keep));
}

Result<void> drop_oldest_events(Connection& connection, std::size_t amount) {
  return connection.execute(
      format("DELETE FROM events WHERE id < (SELECT id FROM events ORDER BY id LIMIT 1 OFFSET {})", amount));
}

}  // namespace buildwarden::state
