#include "daemon/state/ledger_table.h"

#include <utility>

namespace buildwarden::state {
namespace {

// ?3 last use and ?4 observed in milliseconds.
constexpr const char* kUpsert =
    "INSERT INTO ledger (scope, id, last_used, observed, why) VALUES (?1, ?2, ?3, ?4, ?5) "
    "ON CONFLICT (scope, id) DO UPDATE SET last_used = ?3, observed = ?4, why = ?5";

}  // namespace

Result<std::vector<ports::LedgerRow>> select_rows(Connection& connection, const std::string& scope) {
  auto select = connection.prepare("SELECT id, last_used, observed, why FROM ledger WHERE scope = ?1 ORDER BY id");
  if (!select) return std::move(select).error();
  select->bind(1, scope);
  std::vector<ports::LedgerRow> rows;
  for (;;) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return rows;
    rows.push_back(ports::LedgerRow{select->text(0), WallTime{Duration{select->number(1)}}, Duration{select->number(2)},
                                    select->text(3)});
  }
}

Result<void> upsert_rows(Connection& connection, const std::string& scope, std::span<const ports::LedgerRow> rows) {
  auto upsert = connection.prepare(kUpsert);
  if (!upsert) return std::move(upsert).error();
  for (const auto& row : rows) {
    upsert->bind(1, scope);
    upsert->bind(2, row.id);
    upsert->bind(3, row.last_used.time_since_epoch().count());
    upsert->bind(4, row.observed.count());
    upsert->bind(5, row.why);
    if (auto done = upsert->run(); !done) return done;
  }
  return {};
}

Result<void> delete_rows(Connection& connection, const std::string& scope, std::span<const std::string> ids) {
  auto erase = connection.prepare("DELETE FROM ledger WHERE scope = ?1 AND id = ?2");
  if (!erase) return std::move(erase).error();
  for (const auto& id : ids) {
    erase->bind(1, scope);
    erase->bind(2, id);
    if (auto done = erase->run(); !done) return done;
  }
  return {};
}

}  // namespace buildwarden::state
