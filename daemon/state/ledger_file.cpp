#include "daemon/state/ledger_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "common/atomic_file.h"
#include "common/format.h"
#include "daemon/state/ledger_schema.h"
#include "daemon/state/set_aside.h"

namespace buildwarden::state {
namespace {

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "." : path.substr(0, slash);
}

Result<void> insert_rows(Connection& connection, const std::string& scope, const std::vector<ports::LedgerRow>& rows) {
  auto insert = connection.prepare(kUpsert);
  if (!insert) return std::move(insert).error();
  for (const auto& row : rows) {
    insert->bind(1, scope);
    insert->bind(2, row.id);
    insert->bind(3, row.last_used.time_since_epoch().count());
    insert->bind(4, row.observed.count());
    insert->bind(5, row.why);
    if (auto done = insert->run(); !done) return done;
  }
  return {};
}

Result<void> delete_rows(Connection& connection, const std::string& scope, const std::vector<std::string>& ids) {
  auto erase = connection.prepare("DELETE FROM ledger WHERE scope = ?1 AND id = ?2");
  if (!erase) return std::move(erase).error();
  for (const auto& id : ids) {
    erase->bind(1, scope);
    erase->bind(2, id);
    if (auto done = erase->run(); !done) return done;
  }
  return {};
}

Result<std::vector<ports::LedgerRow>> read_rows(Connection& connection, const std::string& scope) {
  auto select = connection.prepare("SELECT id, last_used, observed, why FROM ledger WHERE scope = ?1 ORDER BY id");
  if (!select) return std::move(select).error();
  select->bind(1, scope);
  std::vector<ports::LedgerRow> rows;
  for (;;) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return rows;
    rows.push_back(ports::LedgerRow{select->text(0), WallTime{Duration{select->number(1)}}, Duration{select->number(2)},
                                    select->text(3)});
  }
}

}  // namespace

LedgerFile::LedgerFile(std::string path, const Clock& clock, std::int64_t most_pages)
    : path_(std::move(path)), clock_(clock), most_pages_(most_pages) {}

Result<std::vector<ports::LedgerRow>> LedgerFile::load(const std::string& scope) {
  if (auto opened = open(); !opened) return std::move(opened).error();
  auto rows = read_rows(*connection_, scope);
  if (!rows) static_cast<void>(closed_if_damaged(rows.error()));
  return rows;
}

Result<void> LedgerFile::save(const std::string& scope, const std::vector<ports::LedgerRow>& rows) {
  if (auto opened = open(); !opened) return opened;
  auto transaction = Transaction::begin(*connection_);
  if (!transaction) return closed_if_damaged(std::move(transaction).error());
  auto written = insert_rows(*connection_, scope, rows);
  if (written) written = transaction->commit();
  return closed_if_damaged(std::move(written));
}

Result<void> LedgerFile::forget(const std::string& scope, const std::vector<std::string>& ids) {
  if (auto opened = open(); !opened) return opened;
  auto transaction = Transaction::begin(*connection_);
  if (!transaction) return closed_if_damaged(std::move(transaction).error());
  auto written = delete_rows(*connection_, scope, ids);
  if (written) written = transaction->commit();
  return closed_if_damaged(std::move(written));
}

std::vector<ports::Event> LedgerFile::take_notices() { return std::exchange(notices_, {}); }

Result<void> LedgerFile::open() {
  if (connection_) return {};
  if (auto made = make_folders(folder_of(path_)); !made) return made;
  auto opened = open_checked();
  if (!opened && opened.error().code() == Errc::kInvalid) {
    if (auto begun = begin_anew(opened.error().message()); !begun) return begun;
    opened = open_checked();
  }
  if (!opened) return std::move(opened).error().with_context(format("the ledger {}", path_));
  connection_.emplace(*std::move(opened));
  return {};
}

// kInvalid: the file is there and is not our database, or not whole.
Result<Connection> LedgerFile::open_checked() {
  auto connection = Connection::open(path_);
  if (!connection) return connection;
  if (auto prepared = prepare_ledger(*connection); !prepared) return std::move(prepared).error();
  auto limited = connection->number(format("PRAGMA max_page_count={}", most_pages_));
  if (!limited) return std::move(limited).error();
  return connection;
}

Result<void> LedgerFile::begin_anew(const std::string& why) {
  auto moved = set_aside(path_, clock_.now().wall);
  notices_.push_back(set_aside_event(path_, why, moved));
  if (!moved) return std::move(moved).error();
  // They belong to the file that is gone, and would be taken for the new one's.
  for (const char* const suffix : {"-wal", "-shm", "-journal"}) ::unlink((path_ + suffix).c_str());
  return {};
}

// The next call opens it again, and finds out.
Result<void> LedgerFile::closed_if_damaged(Result<void> result) {
  if (!result && result.error().code() == Errc::kInvalid) connection_.reset();
  return result;
}

}  // namespace buildwarden::state
