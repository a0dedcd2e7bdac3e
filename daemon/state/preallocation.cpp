#include "daemon/state/preallocation.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "common/format.h"
#include "common/unique_fd.h"

namespace buildwarden::state {
namespace {

constexpr Bytes kPage = 4096;

Error no_room(int error_number, const std::string& path) {
  auto error = Error::from_errno(error_number, format("take room for {}", path));
  return error_number == ENOSPC || error_number == EDQUOT ? Error(Errc::kTooLarge, error.message()) : error;
}

// 0 or the errno.
int write_zeros(int fd, Bytes from, Bytes to) {
  const std::vector<char> zeros(static_cast<std::size_t>(64 * kKiB), '\0');
  while (from < to) {
    const auto amount = static_cast<std::size_t>(std::min<Bytes>(to - from, static_cast<Bytes>(zeros.size())));
    const auto written = ::pwrite(fd, zeros.data(), amount, static_cast<off_t>(from));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    from += written;
  }
  return ::fdatasync(fd) == 0 ? 0 : errno;
}

// The file never grows by itself: a row that finds no free page is an error at once, not one of a later checkpoint,
// which would leave a log that can never be emptied.
Result<void> stay_at(Connection& connection, std::int64_t pages) {
  auto limited = connection.number(format("PRAGMA max_page_count={}", pages));
  if (!limited) return std::move(limited).error();
  return {};
}

Result<void> checkpoint(Connection& connection) {
  const auto busy = connection.number("PRAGMA wal_checkpoint(RESTART)");
  if (!busy) return busy.error();
  if (*busy != 0) return Error(Errc::kConflict, "the log could not be emptied");
  return {};
}

// The pages of a table that is gone again; in WAL mode they are written all the same.
Result<void> add_pages(Connection& connection, std::int64_t pages) {
  auto transaction = Transaction::begin(connection);
  if (!transaction) return std::move(transaction).error();
  auto done = connection.execute(format(
      "CREATE TABLE filler (bytes BLOB); INSERT INTO filler VALUES (zeroblob({})); DROP TABLE filler", pages * kPage));
  if (!done) return done;
  auto committed = transaction->commit();
  return committed ? checkpoint(connection) : committed;
}

}  // namespace

Result<void> reserve_log(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat info{};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) return no_room(errno, path);
  if (info.st_size >= kLogBytes) return {};
  const int error_number = write_zeros(file.get(), info.st_size, kLogBytes);
  if (error_number == 0) return {};
  if (::ftruncate(file.get(), info.st_size) != 0) return no_room(errno, path);
  return no_room(error_number, path);
}

Result<void> grow(Connection& connection, const RoomLimits& limits) {
  const auto before = connection.number("PRAGMA page_count");
  if (!before) return before.error();
  if (auto raised = stay_at(connection, std::max(limits.most, *before)); !raised) return raised;
  auto grown = add_pages(connection, limits.reserve);
  const auto after = connection.number("PRAGMA page_count");
  if (!after) return after.error();
  auto limited = stay_at(connection, *after);
  return grown ? limited : grown;
}

Result<void> keep_room(Connection& connection, const std::string& path, const RoomLimits& limits) {
  const auto free = connection.number("PRAGMA freelist_count");
  if (!free) return free.error();
  if (*free >= limits.enough) return {};
  const auto used = connection.number("PRAGMA page_count");
  if (!used) return used.error();
  if (*used + limits.reserve > limits.most) return {};
  struct statvfs disk{};
  if (::statvfs(path.c_str(), &disk) != 0) return Error::from_errno(errno, format("look at the disk of {}", path));
  const auto available = static_cast<Bytes>(disk.f_bavail) * static_cast<Bytes>(disk.f_frsize);
  if (available < limits.spare_on_disk) return {};
  if (auto reserved = reserve_log(path + "-wal"); !reserved) return reserved;
  return grow(connection, limits);
}

}  // namespace buildwarden::state
