#include "daemon/state/state_file.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <span>
#include <utility>

#include "daemon/state/event_table.h"
#include "daemon/state/ledger_table.h"
#include "daemon/state/worth_table.h"

namespace buildwarden::state {
namespace {

// Each row may touch a page of its own, and what a transaction touches must fit into the log.
constexpr std::size_t kRowsAtOnce = 250;
// Finding the oldest one reads through all of them.
constexpr std::size_t kEventsPerTrim = 250;
constexpr std::size_t kEventsPerNeed = 500;
constexpr auto kNewest = std::numeric_limits<std::int64_t>::max();

Result<void> trim_all_events(Connection& connection) {
  if (auto done = trim_events(connection, EventSort::kOnDemand, StateFile::kMostOnDemand); !done) return done;
  return trim_events(connection, EventSort::kAll, StateFile::kMostEvents);
}

Result<void> make_way(Connection& connection) {
  auto dropped = drop_oldest_events(connection, EventSort::kOnDemand, kEventsPerNeed);
  if (dropped && !*dropped) dropped = drop_oldest_events(connection, EventSort::kAll, kEventsPerNeed);
  if (!dropped) return std::move(dropped).error();
  return {};
}

template <class Row, class Write>
Result<void> in_parts(const std::vector<Row>& rows, const Write& write) {
  for (std::size_t at = 0; at < rows.size(); at += kRowsAtOnce) {
    const auto part = std::span(rows).subspan(at, std::min(kRowsAtOnce, rows.size() - at));
    if (auto written = write(part); !written) return written;
  }
  return {};
}

}  // namespace

StateFile::StateFile(std::string path, const Clock& clock, const RoomLimits& limits)
    : database_(std::move(path), clock, limits) {}

Result<std::vector<ports::LedgerRow>> StateFile::load_rows(const std::string& scope) {
  std::vector<ports::LedgerRow> rows;
  auto read = database_.read([&](Connection& connection) -> Result<void> {
    auto selected = select_rows(connection, scope);
    if (!selected) return std::move(selected).error();
    rows = *std::move(selected);
    return {};
  });
  if (!read) return std::move(read).error();
  return rows;
}

Result<void> StateFile::save_rows(const std::string& scope, const std::vector<ports::LedgerRow>& rows) {
  return in_parts(rows, [&](std::span<const ports::LedgerRow> part) {
    return write([&](Connection& connection) { return upsert_rows(connection, scope, part); });
  });
}

Result<void> StateFile::forget_rows(const std::string& scope, const std::vector<std::string>& ids) {
  return in_parts(ids, [&](std::span<const std::string> part) {
    return write([&](Connection& connection) { return delete_rows(connection, scope, part); });
  });
}

Result<std::vector<ports::WorthRow>> StateFile::load_worth(const std::string& scope) {
  std::vector<ports::WorthRow> rows;
  auto read = database_.read([&](Connection& connection) -> Result<void> {
    auto selected = select_worth(connection, scope);
    if (!selected) return std::move(selected).error();
    rows = *std::move(selected);
    return {};
  });
  if (!read) return std::move(read).error();
  return rows;
}

Result<void> StateFile::save_worth(const std::string& scope, const std::vector<ports::WorthRow>& rows) {
  return in_parts(rows, [&](std::span<const ports::WorthRow> part) {
    return write([&](Connection& connection) { return upsert_worth(connection, scope, part); });
  });
}

Result<void> StateFile::forget_worth(const std::string& scope, const std::vector<std::string>& ids) {
  return in_parts(ids, [&](std::span<const std::string> part) {
    return write([&](Connection& connection) { return delete_worth(connection, scope, part); });
  });
}

Result<ports::StoredEvents> StateFile::load_events(std::size_t most) {
  ports::StoredEvents stored;
  auto read = database_.read([&](Connection& connection) -> Result<void> {
    auto others = select_events(connection, most, kNewest, EventSort::kOthers);
    if (!others) return std::move(others).error();
    auto on_demand = select_events(connection, most, kNewest, EventSort::kOnDemand);
    if (!on_demand) return std::move(on_demand).error();
    std::merge(std::make_move_iterator(others->begin()), std::make_move_iterator(others->end()),
               std::make_move_iterator(on_demand->begin()), std::make_move_iterator(on_demand->end()),
               std::back_inserter(stored.events), [](const auto& one, const auto& other) { return one.id < other.id; });
    return {};
  });
  if (!read) return std::move(read).error();
  stored.complete = !database_.begun_anew();
  return stored;
}

Result<std::vector<ports::RecordedEvent>> StateFile::events_before(std::uint64_t before, std::size_t most) {
  std::vector<ports::RecordedEvent> events;
  auto read = database_.read([&](Connection& connection) -> Result<void> {
    auto selected = select_events(connection, most, static_cast<std::int64_t>(before));
    if (!selected) return std::move(selected).error();
    events = *std::move(selected);
    return {};
  });
  if (!read) return std::move(read).error();
  return events;
}

Result<void> StateFile::append_events(const std::vector<ports::RecordedEvent>& events) {
  return in_parts(events, [&](std::span<const ports::RecordedEvent> part) {
    return write([&](Connection& connection) -> Result<void> {
      if (auto inserted = insert_events(connection, part); !inserted) return inserted;
      const bool is_due = until_trim_ < part.size();
      until_trim_ = is_due ? kEventsPerTrim : until_trim_ - part.size();
      return is_due ? trim_all_events(connection) : Result<void>{};
    });
  });
}

Result<void> StateFile::write(const Database::Work& work) {
  auto written = database_.write(work);
  if (written || written.error().code() != Errc::kTooLarge) return written;
  const auto freed = database_.write([](Connection& connection) { return make_way(connection); });
  return freed ? database_.write(work) : written;
}

}  // namespace buildwarden::state
