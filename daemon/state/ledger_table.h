// The ledger's rows in the database. Errors are the connection's.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/ports/disk.h"
#include "daemon/state/sqlite.h"

namespace buildwarden::state {

// By id.
Result<std::vector<ports::LedgerRow>> select_rows(Connection& connection, const std::string& scope);
// Inserts or replaces.
Result<void> upsert_rows(Connection& connection, const std::string& scope, std::span<const ports::LedgerRow> rows);
Result<void> delete_rows(Connection& connection, const std::string& scope, std::span<const std::string> ids);

}  // namespace buildwarden::state
