#include "daemon/state/ledger_table.h"

#include "daemon/state/rows.h"

namespace buildwarden::state {
namespace {

// ?3 last use and ?4 observed in milliseconds.
constexpr const char* kUpsert =
    "INSERT INTO ledger (scope, id, last_used, observed, why) VALUES (?1, ?2, ?3, ?4, ?5) "
    "ON CONFLICT (scope, id) DO UPDATE SET last_used = ?3, observed = ?4, why = ?5";
constexpr const char* kSelect = "SELECT id, last_used, observed, why FROM ledger WHERE scope = ?1 ORDER BY id";
constexpr const char* kDelete = "DELETE FROM ledger WHERE scope = ?1 AND id = ?2";

ports::LedgerRow ledger_row_of(const Statement& select) {
  return {select.text(0), WallTime{Duration{select.number(1)}}, Duration{select.number(2)}, select.text(3)};
}

void bind_ledger_row(Statement& upsert, const ports::LedgerRow& row) {
  upsert.bind(2, row.id);
  upsert.bind(3, row.last_used.time_since_epoch().count());
  upsert.bind(4, row.observed.count());
  upsert.bind(5, row.why);
}

}  // namespace

Result<std::vector<ports::LedgerRow>> select_rows(Connection& connection, const std::string& scope) {
  return select_of_scope<ports::LedgerRow>(connection, kSelect, scope, ledger_row_of);
}

Result<void> upsert_rows(Connection& connection, const std::string& scope, std::span<const ports::LedgerRow> rows) {
  return run_for_each<ports::LedgerRow>(connection, kUpsert, scope, rows, bind_ledger_row);
}

Result<void> delete_rows(Connection& connection, const std::string& scope, std::span<const std::string> ids) {
  return run_for_each<std::string>(connection, kDelete, scope, ids, bind_id);
}

}  // namespace buildwarden::state
