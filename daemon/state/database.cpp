#include "daemon/state/database.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "common/atomic_file.h"
#include "common/format.h"
#include "common/unique_fd.h"
#include "daemon/state/quarantine.h"
#include "daemon/state/schema.h"

namespace buildwarden::state {
namespace {

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "." : path.substr(0, slash);
}

// SQLite makes its files readable by everybody, and its log like the database. What cannot be done here it will say.
void make_private(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat info{};
  if (!file.open() || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return;
  if ((info.st_mode & 0077U) != 0) static_cast<void>(::fchmod(file.get(), 0600));
}

// SQLite's own word for it is that it cannot be opened, or only read, as for much that passes.
Result<void> refuse_what_is_no_file(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (!file.open() && errno == ENOENT) return {};
  const bool special = !file.open() && (errno == ELOOP || errno == ENXIO);  // a link, a socket
  if (!file.open() && !special) return Error::from_errno(errno, "open it");
  struct stat info{};
  if (special || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return Error(Errc::kInvalid, "it is not a regular file");
  }
  // The versions for writing and reading, sqlite.org/fileformat2.html; SQLite finds the other damage by itself.
  std::array<char, 20> head{};
  if (::pread(file.get(), head.data(), head.size(), 0) < 0) return Error::from_errno(errno, "read its head");
  if (head[18] <= 2 && head[19] <= 2) return {};
  return Error(Errc::kInvalid, format("its format is of version {}/{}", int{head[18]}, int{head[19]}));
}

Result<void> in_transaction(Connection& connection, const Database::Work& work) {
  auto transaction = Transaction::begin(connection);
  if (!transaction) return std::move(transaction).error();
  auto done = work(connection);
  if (done) done = transaction->commit();
  return done;
}

// A file that is there already is used with the room that it has: it may be the full disk that we were started for.
Result<void> take_room(Connection& connection, const std::string& path, const RoomLimits& limits) {
  auto emptied = connection.number("PRAGMA wal_checkpoint(RESTART)");
  if (!emptied && emptied.error().code() == Errc::kInvalid) return std::move(emptied).error();
  const auto pages = connection.number("PRAGMA page_count");
  if (!pages) return pages.error();
  auto limited = connection.number(format("PRAGMA max_page_count={}", *pages));
  if (!limited) return std::move(limited).error();
  static_cast<void>(reserve_log(path + "-wal"));
  static_cast<void>(keep_room(connection, path, limits));
  return {};
}

}  // namespace

Database::Database(std::string path, const Clock& clock, const RoomLimits& limits)
    : path_(std::move(path)), clock_(clock), limits_(limits) {}

Result<void> Database::read(const Work& work) {
  if (auto opened = open(); !opened) return opened;
  return closed_if_damaged(work(*connection_));
}

Result<void> Database::write(const Work& work) {
  if (auto opened = open(); !opened) return opened;
  // Without new room there may still be enough of it; the work itself finds out.
  static_cast<void>(keep_room(*connection_, path_, limits_));
  return closed_if_damaged(in_transaction(*connection_, work));
}

Result<void> Database::open() {
  if (connection_) return {};
  if (auto made = make_folders(folder_of(path_), 0700); !made) return made;
  auto opened = open_checked();
  if (!opened && opened.error().code() == Errc::kInvalid) {
    if (auto begun = begin_anew(opened.error().message()); !begun) return begun;
    opened = open_checked();
  }
  if (!opened) return std::move(opened).error().with_context(path_);
  connection_.emplace(*std::move(opened));
  return {};
}

// kInvalid: the file is there and is not our database, or not whole.
Result<Connection> Database::open_checked() {
  if (auto fit = refuse_what_is_no_file(path_); !fit) return std::move(fit).error();
  make_private(path_);
  auto connection = Connection::open(path_);
  if (!connection) return connection;
  if (auto set = configure(*connection); !set) return std::move(set).error();
  const auto fresh = prepare_tables(*connection);
  if (!fresh) return fresh.error();
  // A new one has all its room from the beginning, or is not begun.
  auto roomy = *fresh ? reserve_log(path_ + "-wal") : take_room(*connection, path_, limits_);
  if (roomy && *fresh) roomy = grow(*connection, limits_);
  if (!roomy) return std::move(roomy).error();
  return connection;
}

Result<void> Database::begin_anew(const std::string& why) {
  auto moved = quarantine(path_, clock_.now().wall);
  notices_.push_back(quarantined_event(path_, why, moved));
  if (!moved) return std::move(moved).error();
  begun_anew_ = true;
  // Its log goes with it, and would be taken for the new one's.
  if (std::rename((path_ + "-wal").c_str(), (*moved + "-wal").c_str()) != 0) ::unlink((path_ + "-wal").c_str());
  for (const char* const suffix : {"-shm", "-journal"}) ::unlink((path_ + suffix).c_str());
  return {};
}

// The next call opens it again, and finds out.
Result<void> Database::closed_if_damaged(Result<void> result) {
  if (!result && result.error().code() == Errc::kInvalid) connection_.reset();
  return result;
}

}  // namespace buildwarden::state
