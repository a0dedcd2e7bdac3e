// The ledger's database file. Blocks: used on one worker thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/journal.h"
#include "daemon/state/sqlite.h"

namespace buildwarden::state {

// Opens itself at the first call, and again after an error that closed it. A damaged or foreign file is set aside and
// begun anew. Room for thousands of rows is taken when the file is made, so that a full disk does not stop it.
class LedgerFile {
 public:
  // 64 MiB: some hundred thousand rows.
  static constexpr std::int64_t kMostPages = 16'384;
  // `clock` must be safe to read from the worker thread and outlive this. The file grows to at most `most_pages` of
  // 4 KiB, or to what it has already; then saving is an error.
  LedgerFile(std::string path, const Clock& clock, std::int64_t most_pages = kMostPages);

  Result<std::vector<ports::LedgerRow>> load(const std::string& scope);
  Result<void> save(const std::string& scope, const std::vector<ports::LedgerRow>& rows);
  Result<void> forget(const std::string& scope, const std::vector<std::string>& ids);

  // What had to be set aside since the last call.
  std::vector<ports::Event> take_notices();

 private:
  Result<void> open();
  Result<Connection> open_checked();
  Result<void> begin_anew(const std::string& why);
  Result<void> closed_if_damaged(Result<void> result);

  std::string path_;
  const Clock& clock_;
  std::int64_t most_pages_;
  std::optional<Connection> connection_;
  std::vector<ports::Event> notices_;
};

}  // namespace buildwarden::state
