// Ledger and journal in their database. Blocks: used on one worker thread only.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/worth.h"
#include "daemon/state/database.h"

namespace buildwarden::state {

// Writes in transactions that fit into the log's room, in the order given: after an error or a crash the first ones are
// kept. When there is no more room, the oldest events make way, those made on demand first. Errors are the
// connection's.
class StateFile {
 public:
  static constexpr std::size_t kMostEvents = 10'000;  // of which those made on demand are a fifth at most
  static constexpr std::size_t kMostOnDemand = kMostEvents / 5;
  StateFile(std::string path, const Clock& clock, const RoomLimits& limits = {});

  Result<std::vector<ports::LedgerRow>> load_rows(const std::string& scope);
  Result<void> save_rows(const std::string& scope, const std::vector<ports::LedgerRow>& rows);
  Result<void> forget_rows(const std::string& scope, const std::vector<std::string>& ids);
  Result<std::vector<ports::WorthRow>> load_worth(const std::string& scope);
  Result<void> save_worth(const std::string& scope, const std::vector<ports::WorthRow>& rows);
  Result<void> forget_worth(const std::string& scope, const std::vector<std::string>& ids);
  // As ports::EventStore.
  Result<ports::StoredEvents> load_events(std::size_t most);
  Result<std::vector<ports::RecordedEvent>> events_before(std::uint64_t before, std::size_t most);
  // Keeps the latest kMostEvents, and for a while some hundred more.
  Result<void> append_events(const std::vector<ports::RecordedEvent>& events);

  // What had to be set aside since the last call.
  std::vector<ports::Event> take_notices() { return database_.take_notices(); }

 private:
  Result<void> write(const Database::Work& work);

  Database database_;
  std::size_t until_trim_ = 0;  // events
};

}  // namespace buildwarden::state
