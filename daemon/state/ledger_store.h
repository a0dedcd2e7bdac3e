// The ledger in SQLite, behind its own thread: a disk that is full or slow keeps nobody waiting.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/worker.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/journal.h"
#include "daemon/state/ledger_file.h"

namespace buildwarden::state {

// Errors are those of the file (kIo, kDenied, kConflict) or kTimeout when the disk did not answer in time; the work is
// then still done when it can be. Nothing is opened before the first call. Used on the loop; the destructor waits for
// work under way.
class SqliteLedgerStore final : public ports::LedgerStore {
 public:
  // "<folder>/ledger.db". `clock` must be safe to read from another thread.
  SqliteLedgerStore(const std::string& folder, const Clock& clock, ports::Journal& journal);

  ports::Async<std::vector<ports::LedgerRow>> load(std::string scope) override;
  ports::Async<void> save(std::string scope, std::vector<ports::LedgerRow> rows) override;
  ports::Async<void> forget(std::string scope, std::vector<std::string> ids) override;

  // Of the last call, "" when it went well.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  struct Shared;
  void conclude(const std::string& failure);

  ports::Journal& journal_;
  std::shared_ptr<Shared> shared_;
  WorkerPool thread_;
  std::string error_;
};

}  // namespace buildwarden::state
