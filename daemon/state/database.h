// The one database of what outlives the boot: the ledger and the journal. Blocks: used on one worker thread only.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "daemon/ports/journal.h"
#include "daemon/state/preallocation.h"
#include "daemon/state/sqlite.h"

namespace buildwarden::state {

// Opens itself at the first call, and again after an error that closed it. A damaged or foreign file is set aside and
// begun anew.
class Database {
 public:
  using Work = std::function<Result<void>(Connection&)>;

  // `clock` must be safe to read from the worker thread and outlive this.
  Database(std::string path, const Clock& clock, const RoomLimits& limits = {});

  // Work that only reads. Errors are those of the work and of the opening (see Connection).
  Result<void> read(const Work& work);
  // Work in one transaction, undone after an error.
  Result<void> write(const Work& work);

  // What had to be set aside since the last call.
  std::vector<ports::Event> take_notices() { return std::exchange(notices_, {}); }
  // Whether data was lost by setting it aside since the start.
  [[nodiscard]] bool begun_anew() const { return begun_anew_; }

 private:
  Result<void> open();
  Result<Connection> open_checked();
  Result<void> begin_anew(const std::string& why);
  Result<void> closed_if_damaged(Result<void> result);

  std::string path_;
  const Clock& clock_;
  RoomLimits limits_;
  std::optional<Connection> connection_;
  std::vector<ports::Event> notices_;
  bool begun_anew_ = false;
};

}  // namespace buildwarden::state
