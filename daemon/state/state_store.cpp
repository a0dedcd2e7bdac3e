#include "daemon/state/state_store.h"

#include <mutex>
#include <utility>

namespace buildwarden::state {
namespace {

constexpr Duration kDeadline = std::chrono::seconds{10};
constexpr Duration kLoadDeadline = std::chrono::seconds{2};

}  // namespace

// The file belongs to the thread; only the notices and the count cross over.
struct StateStore::Shared {
  Shared(std::string path, const Clock& clock, const RoomLimits& limits) : file(std::move(path), clock, limits) {}
  StateFile file;
  std::mutex mutex;
  std::vector<ports::Event> notices;
  int under_way = 0;

  void began() {
    const std::lock_guard lock(mutex);
    ++under_way;
  }
  void ended() {
    auto fresh = file.take_notices();
    const std::lock_guard lock(mutex);
    for (auto& notice : fresh) notices.push_back(std::move(notice));
    --under_way;
  }
  bool busy() {
    const std::lock_guard lock(mutex);
    return under_way > 0;
  }
};

StateStore::StateStore(const std::string& folder, const Clock& clock, ports::Journal& journal, const RoomLimits& limits)
    : journal_(journal), shared_(std::make_shared<Shared>(folder + "/ledger.db", clock, limits)), thread_(1) {}

template <class T>
ports::Async<T> StateStore::on_thread(std::function<Result<T>(StateFile&)> work, Duration deadline) {
  if (late_ && shared_->busy()) co_return Error(Errc::kTimeout, "the disk has not answered yet");
  shared_->began();
  std::function<Result<T>()> job = [shared = shared_, work = std::move(work)] {
    auto result = work(shared->file);
    shared->ended();
    return result;
  };
  auto result = co_await thread_.compute<T>(std::move(job), deadline);
  late_ = !result && result.error().code() == Errc::kTimeout;
  co_return result;
}

template <class T>
ports::Async<T> StateStore::concluded(std::function<Result<T>(StateFile&)> work, Duration deadline) {
  auto result = co_await on_thread(std::move(work), deadline);
  conclude(result ? "" : result.error().message());
  co_return result;
}

ports::Async<std::vector<ports::LedgerRow>> StateStore::load(std::string scope) {
  using Rows = std::vector<ports::LedgerRow>;
  std::function<Result<Rows>(StateFile&)> work = [scope = std::move(scope)](StateFile& file) {
    return file.load_rows(scope);
  };
  co_return co_await concluded(std::move(work), kDeadline);
}

ports::Async<void> StateStore::save(std::string scope, std::vector<ports::LedgerRow> rows) {
  std::function<Result<void>(StateFile&)> work = [scope = std::move(scope), rows = std::move(rows)](StateFile& file) {
    return file.save_rows(scope, rows);
  };
  co_return co_await concluded(std::move(work), kDeadline);
}

ports::Async<void> StateStore::forget(std::string scope, std::vector<std::string> ids) {
  std::function<Result<void>(StateFile&)> work = [scope = std::move(scope), ids = std::move(ids)](StateFile& file) {
    return file.forget_rows(scope, ids);
  };
  co_return co_await concluded(std::move(work), kDeadline);
}

ports::Async<std::vector<ports::WorthRow>> StateStore::load_worth(std::string scope) {
  using Rows = std::vector<ports::WorthRow>;
  std::function<Result<Rows>(StateFile&)> work = [scope = std::move(scope)](StateFile& file) {
    return file.load_worth(scope);
  };
  co_return co_await concluded(std::move(work), kDeadline);
}

ports::Async<void> StateStore::save_worth(std::string scope, std::vector<ports::WorthRow> rows) {
  std::function<Result<void>(StateFile&)> work = [scope = std::move(scope), rows = std::move(rows)](StateFile& file) {
    return file.save_worth(scope, rows);
  };
  co_return co_await concluded(std::move(work), kDeadline);
}

ports::Async<void> StateStore::forget_worth(std::string scope, std::vector<std::string> ids) {
  std::function<Result<void>(StateFile&)> work = [scope = std::move(scope), ids = std::move(ids)](StateFile& file) {
    return file.forget_worth(scope, ids);
  };
  co_return co_await concluded(std::move(work), kDeadline);
}

ports::Async<ports::StoredEvents> StateStore::load_events(std::size_t most) {
  std::function<Result<ports::StoredEvents>(StateFile&)> work = [most](StateFile& file) {
    return file.load_events(most);
  };
  co_return co_await concluded(std::move(work), kLoadDeadline);
}

ports::Async<void> StateStore::append_events(std::vector<ports::RecordedEvent> events) {
  std::function<Result<void>(StateFile&)> work = [events = std::move(events)](StateFile& file) {
    return file.append_events(events);
  };
  co_return co_await concluded(std::move(work), kDeadline);
}

ports::Async<std::vector<ports::RecordedEvent>> StateStore::events_before(std::uint64_t before, std::size_t most) {
  using Events = std::vector<ports::RecordedEvent>;
  std::function<Result<Events>(StateFile&)> work = [before, most](StateFile& file) {
    return file.events_before(before, most);
  };
  co_return co_await on_thread(std::move(work), kLoadDeadline);
}

void StateStore::conclude(const std::string& failure) {
  error_ = failure;
  std::vector<ports::Event> notices;
  {
    const std::lock_guard lock(shared_->mutex);
    notices.swap(shared_->notices);
  }
  for (auto& notice : notices) journal_.record(std::move(notice));
}

}  // namespace buildwarden::state
