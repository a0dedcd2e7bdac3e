// The rows of what was learned of worth, in the database. Errors are the connection's.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/ports/worth.h"
#include "daemon/state/sqlite.h"

namespace buildwarden::state {

// By id.
Result<std::vector<ports::WorthRow>> select_worth(Connection& connection, const std::string& scope);
// Inserts or replaces.
Result<void> upsert_worth(Connection& connection, const std::string& scope, std::span<const ports::WorthRow> rows);
Result<void> delete_worth(Connection& connection, const std::string& scope, std::span<const std::string> ids);

}  // namespace buildwarden::state
