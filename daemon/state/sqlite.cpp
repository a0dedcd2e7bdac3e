#include "daemon/state/sqlite.h"

#include "common/format.h"

namespace buildwarden::state {
namespace {

Errc code_of(int result) {
  if (result == SQLITE_IOERR_READ || result == SQLITE_IOERR_CORRUPTFS) return Errc::kInvalid;
  switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return Errc::kConflict;
    case SQLITE_ERROR:  // our own words are right: the file is of another format, or lacks a table
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Errc::kInvalid;
    case SQLITE_FULL: return Errc::kTooLarge;
    case SQLITE_PERM:
    case SQLITE_AUTH: return Errc::kDenied;
    default: return Errc::kIo;
  }
}

Error error_of(sqlite3* handle, int result) {
  const char* const text = handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(result);
  return Error(code_of(result), format("{} (SQLite {})", text, result));
}

}  // namespace

void Statement::bind(int at, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), at, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);  // NOLINT
}

void Statement::bind(int at, std::int64_t number) { sqlite3_bind_int64(statement_.get(), at, number); }

Result<bool> Statement::step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return error_of(sqlite3_db_handle(statement_.get()), result);
}

Result<void> Statement::run() {
  auto row = step();
  while (row && *row) row = step();
  sqlite3_reset(statement_.get());
  if (!row) return std::move(row).error();
  return {};
}

std::string Statement::text(int column) const {
  const auto* const bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return bytes == nullptr ? std::string() : std::string(bytes, size);
}

std::int64_t Statement::number(int column) const { return sqlite3_column_int64(statement_.get(), column); }

Result<Connection> Connection::open(const std::string& path) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
  const int result = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  Connection connection(handle);
  if (result != SQLITE_OK) return error_of(handle, result).with_context(format("open {}", path));
  sqlite3_extended_result_codes(handle, 1);
  const int kept = sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  if (kept != SQLITE_OK) return error_of(handle, kept).with_context("keep the log at the close");
  return connection;
}

Result<void> Connection::execute(const std::string& sql) {
  const int result = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) return error_of(handle_.get(), result).with_context(sql);
  return {};
}

Result<Statement> Connection::prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v2(handle_.get(), sql.c_str(), -1, &statement, nullptr);
  if (result != SQLITE_OK) return error_of(handle_.get(), result).with_context(sql);
  return Statement(statement);
}

Result<std::int64_t> Connection::number(const std::string& sql) {
  auto statement = prepare(sql);
  if (!statement) return std::move(statement).error();
  const auto row = statement->step();
  if (!row) return row.error();
  return statement->number(0);
}

Result<std::string> Connection::text(const std::string& sql) {
  auto statement = prepare(sql);
  if (!statement) return std::move(statement).error();
  const auto row = statement->step();
  if (!row) return row.error();
  return statement->text(0);
}

Result<Transaction> Transaction::begin(Connection& connection) {
  auto begun = connection.execute("BEGIN IMMEDIATE");
  if (!begun) return std::move(begun).error();
  return Transaction(&connection);
}

Transaction::~Transaction() {
  if (connection_ == nullptr) return;
  // A failed statement may have rolled back already; then this one fails, and nothing is lost.
  static_cast<void>(connection_->execute("ROLLBACK"));
}

Result<void> Transaction::commit() {
  auto committed = connection_->execute("COMMIT");
  if (committed) connection_ = nullptr;
  return committed;
}

}  // namespace buildwarden::state
