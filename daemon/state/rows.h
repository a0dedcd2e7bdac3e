// What reading and writing the rows of any table have in common. Errors are the connection's.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"
#include "daemon/state/sqlite.h"

namespace buildwarden::state {

// Those of `scope` (?1 of `sql`), in the statement's order; `row_of` makes one of the statement's columns.
template <class Row>
Result<std::vector<Row>> select_of_scope(Connection& connection, const char* sql, const std::string& scope,
                                         Row (*row_of)(const Statement&)) {
  auto select = connection.prepare(sql);
  if (!select) return std::move(select).error();
  select->bind(1, scope);
  std::vector<Row> rows;
  for (;;) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return rows;
    rows.push_back(row_of(*select));
  }
}

// Runs `sql` once for each row, with `scope` as ?1 and what `bind` binds. Ends with the first that fails.
template <class Row>
Result<void> run_for_each(Connection& connection, const char* sql, const std::string& scope, std::span<const Row> rows,
                          void (*bind)(Statement&, const Row&)) {
  auto statement = connection.prepare(sql);
  if (!statement) return std::move(statement).error();
  for (const auto& row : rows) {
    statement->bind(1, scope);
    bind(*statement, row);
    if (auto done = statement->run(); !done) return done;
  }
  return {};
}

inline void bind_id(Statement& statement, const std::string& id) { statement.bind(2, id); }

}  // namespace buildwarden::state
