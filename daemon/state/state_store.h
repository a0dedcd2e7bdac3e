// Ledger and journal behind a thread of their own: a disk that is full or slow keeps nobody waiting.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/worker.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/event_archive.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/worth.h"
#include "daemon/state/state_file.h"

namespace buildwarden::state {

// Errors are those of the file (see Connection), or kTimeout when the disk does not answer: the work that waited is
// then still done when it can be, and while it is not, everything else is refused at once. Nothing is opened before the
// first call. Used on the loop; the destructor waits for work under way.
class StateStore final : public ports::LedgerStore,
                         public ports::WorthStore,
                         public ports::EventStore,
                         public ports::EventArchive {
 public:
  // "<folder>/ledger.db". `clock` must be safe to read from another thread.
  StateStore(const std::string& folder, const Clock& clock, ports::Journal& journal, const RoomLimits& limits = {});

  ports::Async<std::vector<ports::LedgerRow>> load(std::string scope) override;
  ports::Async<void> save(std::string scope, std::vector<ports::LedgerRow> rows) override;
  ports::Async<void> forget(std::string scope, std::vector<std::string> ids) override;
  ports::Async<std::vector<ports::WorthRow>> load_worth(std::string scope) override;
  ports::Async<void> save_worth(std::string scope, std::vector<ports::WorthRow> rows) override;
  ports::Async<void> forget_worth(std::string scope, std::vector<std::string> ids) override;
  // Waits less long than the others: the numbers of new events wait for it.
  ports::Async<ports::StoredEvents> load_events(std::size_t most) override;
  ports::Async<void> append_events(std::vector<ports::RecordedEvent> events) override;

  // For people: whether it succeeds says nothing of what is kept, so error() stays as it is.
  ports::Async<std::vector<ports::RecordedEvent>> events_before(std::uint64_t before, std::size_t most) override;

  // Of the last call, "" when it went well.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  struct Shared;
  template <class T>
  ports::Async<T> on_thread(std::function<Result<T>(StateFile&)> work, Duration deadline);
  template <class T>
  ports::Async<T> concluded(std::function<Result<T>(StateFile&)> work, Duration deadline);
  void conclude(const std::string& failure);

  ports::Journal& journal_;
  std::shared_ptr<Shared> shared_;
  WorkerPool thread_;
  std::string error_;
  bool late_ = false;  // those who waited for the last work gave it up
};

}  // namespace buildwarden::state
