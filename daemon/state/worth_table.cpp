#include "daemon/state/worth_table.h"

#include <cmath>

#include "daemon/state/rows.h"

namespace buildwarden::state {
namespace {

constexpr const char* kUpsertWorth =
    "INSERT INTO worth (scope, id, first_seen, last_use, uses, gap, unchanged, cost)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, nullif(?8, -1)) ON CONFLICT (scope, id) DO UPDATE SET"
    " first_seen = ?3, last_use = ?4, uses = ?5, gap = ?6, unchanged = ?7, cost = nullif(?8, -1)";
constexpr const char* kSelectWorth =
    "SELECT id, first_seen, last_use, uses, gap, unchanged, ifnull(cost, -1) FROM worth WHERE scope = ?1 ORDER BY id";
constexpr const char* kDeleteWorth = "DELETE FROM worth WHERE scope = ?1 AND id = ?2";
constexpr double kThousand = 1'000;

ports::WorthRow worth_row_of(const Statement& select) {
  ports::WorthRow row;
  row.id = select.text(0);
  row.history.use.first_seen = WallTime{Duration{select.number(1)}};
  row.history.use.last_use = WallTime{Duration{select.number(2)}};
  row.history.use.uses = static_cast<std::uint64_t>(select.number(3));
  row.history.use.gap = Duration{select.number(4)};
  row.history.unchanged = static_cast<std::uint64_t>(select.number(5));
  const auto cost = select.number(6);
  if (cost >= 0) row.seconds = static_cast<double>(cost) / kThousand;
  return row;
}

void bind_worth_row(Statement& upsert, const ports::WorthRow& row) {
  const auto& use = row.history.use;
  upsert.bind(2, row.id);
  upsert.bind(3, use.first_seen.time_since_epoch().count());
  upsert.bind(4, use.last_use.time_since_epoch().count());
  upsert.bind(5, static_cast<std::int64_t>(use.uses));
  upsert.bind(6, use.gap.count());
  upsert.bind(7, static_cast<std::int64_t>(row.history.unchanged));
  upsert.bind(8, row.seconds ? static_cast<std::int64_t>(std::llround(*row.seconds * kThousand)) : -1);
}

}  // namespace

Result<std::vector<ports::WorthRow>> select_worth(Connection& connection, const std::string& scope) {
  return select_of_scope<ports::WorthRow>(connection, kSelectWorth, scope, worth_row_of);
}

Result<void> upsert_worth(Connection& connection, const std::string& scope, std::span<const ports::WorthRow> rows) {
  return run_for_each<ports::WorthRow>(connection, kUpsertWorth, scope, rows, bind_worth_row);
}

Result<void> delete_worth(Connection& connection, const std::string& scope, std::span<const std::string> ids) {
  return run_for_each<std::string>(connection, kDeleteWorth, scope, ids, bind_id);
}

}  // namespace buildwarden::state
