// The database's settings and tables.
#pragma once

#include "common/result.h"
#include "daemon/state/sqlite.h"

namespace buildwarden::state {

// How the connection works: exclusively, through a write-ahead log. Before anything else. Errors are the connection's.
Result<void> configure(Connection& connection);

// Makes an empty file ours (true), an older version of ours the present one, and checks one that has data (false).
// kInvalid: damaged, another program's, or of a newer version.
Result<bool> prepare_tables(Connection& connection);

}  // namespace buildwarden::state
