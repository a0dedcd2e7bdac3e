#include "daemon/state/ledger_schema.h"

#include "common/format.h"

namespace buildwarden::state {
namespace {

constexpr std::int64_t kApplication = 0x42574c47;  // "BWLG"
constexpr std::int64_t kVersion = 1;

// Set before anything is read. Exclusive: no shared-memory file, and nobody else writes. NORMAL in WAL mode: a power
// cut may cost the last rows, never the file.
constexpr const char* kSettings =
    "PRAGMA locking_mode=EXCLUSIVE;"
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=NORMAL;"
    "PRAGMA wal_autocheckpoint=256;"
    "PRAGMA journal_size_limit=4194304;";

// Rows by scope and id; the filler's pages stay in the file as free ones, and the log keeps its size.
constexpr const char* kCreate =
    "BEGIN;"
    "CREATE TABLE ledger (scope TEXT NOT NULL, id TEXT NOT NULL, last_used INTEGER NOT NULL, observed INTEGER NOT NULL,"
    " why TEXT NOT NULL, PRIMARY KEY (scope, id)) WITHOUT ROWID;"
    "CREATE TABLE filler (bytes BLOB);"
    "INSERT INTO filler VALUES (zeroblob(1572864));"
    "DROP TABLE filler;"
    "PRAGMA application_id=1113017415;"
    "PRAGMA user_version=1;"
    "COMMIT;";

Error not_ours(const std::string& what) { return Error(Errc::kInvalid, what); }

Result<void> create(Connection& connection) {
  if (auto created = connection.execute(kCreate); !created) return created;
  auto checkpointed = connection.number("PRAGMA wal_checkpoint(RESTART)");
  if (!checkpointed) return std::move(checkpointed).error();
  return {};
}

Result<void> check(Connection& connection) {
  const auto application = connection.number("PRAGMA application_id");
  if (!application) return application.error();
  if (*application != kApplication) return not_ours(format("it is another program's, application id {}", *application));
  const auto version = connection.number("PRAGMA user_version");
  if (!version) return version.error();
  if (*version != kVersion) return not_ours(format("it is of version {}, not {}", *version, kVersion));
  const auto verdict = connection.text("PRAGMA quick_check(1)");
  if (!verdict) return verdict.error();
  if (*verdict != "ok") return not_ours(format("quick_check says: {}", *verdict));
  return {};
}

}  // namespace

Result<void> prepare_ledger(Connection& connection) {
  if (auto set = connection.execute(kSettings); !set) return set;
  const auto tables = connection.number("SELECT count(*) FROM sqlite_master");
  if (!tables) return tables.error();
  return *tables == 0 ? create(connection) : check(connection);
}

}  // namespace buildwarden::state
