#include "daemon/state/schema.h"

#include "common/format.h"

namespace buildwarden::state {
namespace {

constexpr std::int64_t kApplication = 0x42574c47;  // "BWLG"
constexpr std::int64_t kSchemaVersion = 3;

// Exclusive: no shared-memory file, and nobody else writes. NORMAL in WAL mode: a power cut may cost the last rows,
// never the file. No temporary files, and nothing written before it is committed: both would need room. The cache holds
// what a few rows touch.
constexpr const char* kSettings =
    "PRAGMA locking_mode=EXCLUSIVE;"
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=NORMAL;"
    "PRAGMA temp_store=MEMORY;"
    "PRAGMA cache_spill=OFF;"
    "PRAGMA cache_size=-256;"
    "PRAGMA wal_autocheckpoint=256;"
    "PRAGMA journal_size_limit=4194304;";  // kLogBytes

// Version 1 had no events.
constexpr const char* kLedger =
    "CREATE TABLE ledger (scope TEXT NOT NULL, id TEXT NOT NULL, last_used INTEGER NOT NULL, observed INTEGER NOT NULL,"
    " why TEXT NOT NULL, PRIMARY KEY (scope, id)) WITHOUT ROWID;";
constexpr const char* kEvents =
    "CREATE TABLE events (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, severity INTEGER NOT NULL,"
    " rule TEXT NOT NULL, reason TEXT NOT NULL, fields TEXT NOT NULL);";
// Versions 1 and 2 had no worth. All times and `gap` in milliseconds; cost in thousandths, NULL where it was not seen.
constexpr const char* kWorth =
    "CREATE TABLE worth (scope TEXT NOT NULL, id TEXT NOT NULL, first_seen INTEGER NOT NULL, last_use INTEGER NOT NULL,"
    " uses INTEGER NOT NULL, gap INTEGER NOT NULL, unchanged INTEGER NOT NULL, cost INTEGER,"
    " PRIMARY KEY (scope, id)) WITHOUT ROWID;";
// Each column is there.
constexpr const char* kLook = "SELECT scope, id, last_used, observed, why FROM ledger LIMIT 1;";
constexpr const char* kLookAtEvents = "SELECT id, at, kind, severity, rule, reason, fields FROM events LIMIT 1;";
constexpr const char* kLookAtWorth =
    "SELECT scope, id, first_seen, last_use, uses, gap, unchanged, cost FROM worth LIMIT 1;";
constexpr const char* kStamps =
    "PRAGMA application_id=1113017415;"
    "PRAGMA user_version=3;";

Error not_ours(const std::string& what) { return Error(Errc::kInvalid, what); }

Result<void> in_transaction(Connection& connection, const std::string& sql) {
  auto transaction = Transaction::begin(connection);
  if (!transaction) return std::move(transaction).error();
  if (auto done = connection.execute(sql); !done) return done;
  return transaction->commit();
}

Result<void> check(Connection& connection) {
  const auto application = connection.number("PRAGMA application_id");
  if (!application) return application.error();
  if (*application != kApplication) return not_ours(format("it is another program's, application id {}", *application));
  const auto version = connection.number("PRAGMA user_version");
  if (!version) return version.error();
  if (*version < 1 || *version > kSchemaVersion)
    return not_ours(format("it is of version {}, not {}", *version, kSchemaVersion));
  const auto verdict = connection.text("PRAGMA quick_check(1)");
  if (!verdict) return verdict.error();
  if (*verdict != "ok") return not_ours(format("quick_check says: {}", *verdict));
  if (auto whole = connection.execute(kLook); !whole) return whole;
  if (*version > 1) {
    if (auto whole = connection.execute(kLookAtEvents); !whole) return whole;
  }
  if (*version == kSchemaVersion) return connection.execute(kLookAtWorth);
  const auto* events = *version == 1 ? kEvents : "";
  return in_transaction(connection, format("{}{}{}", events, kWorth, kStamps))
      .with_context("bring it to the present version");
}

}  // namespace

Result<void> configure(Connection& connection) { return connection.execute(kSettings); }

Result<bool> prepare_tables(Connection& connection) {
  const auto tables = connection.number("SELECT count(*) FROM sqlite_master");
  if (!tables) return tables.error();
  const bool fresh = *tables == 0;
  auto done =
      fresh ? in_transaction(connection, format("{}{}{}{}", kLedger, kEvents, kWorth, kStamps)).with_context("make it")
            : check(connection);
  if (!done) return std::move(done).error();
  return fresh;
}

}  // namespace buildwarden::state
