// The ledger's database: its settings, its one table, and its room.
#pragma once

#include "common/result.h"
#include "daemon/state/sqlite.h"

namespace buildwarden::state {

// ?1 scope, ?2 id, ?3 last use and ?4 observed in milliseconds, ?5 why.
inline constexpr const char* kUpsert =
    "INSERT INTO ledger (scope, id, last_used, observed, why) VALUES (?1, ?2, ?3, ?4, ?5) "
    "ON CONFLICT (scope, id) DO UPDATE SET last_used = ?3, observed = ?4, why = ?5";

// Makes an empty file the ledger's, and checks one that is not. kInvalid: damaged, another program's, or of another
// version.
Result<void> prepare_ledger(Connection& connection);

}  // namespace buildwarden::state
