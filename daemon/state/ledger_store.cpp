#include "daemon/state/ledger_store.h"

#include <mutex>
#include <utility>

namespace buildwarden::state {
namespace {

constexpr Duration kDeadline = std::chrono::seconds{10};

}  // namespace

// The file belongs to the thread; only the notices cross over.
struct SqliteLedgerStore::Shared {
  Shared(std::string path, const Clock& clock) : file(std::move(path), clock) {}
  LedgerFile file;
  std::mutex mutex;
  std::vector<ports::Event> notices;

  void pass_notices() {
    auto fresh = file.take_notices();
    const std::lock_guard lock(mutex);
    for (auto& notice : fresh) notices.push_back(std::move(notice));
  }
};

SqliteLedgerStore::SqliteLedgerStore(const std::string& folder, const Clock& clock, ports::Journal& journal)
    : journal_(journal), shared_(std::make_shared<Shared>(folder + "/ledger.db", clock)), thread_(1) {}

ports::Async<std::vector<ports::LedgerRow>> SqliteLedgerStore::load(std::string scope) {
  using Rows = std::vector<ports::LedgerRow>;
  std::function<Result<Rows>()> work = [shared = shared_, scope = std::move(scope)] {
    auto rows = shared->file.load(scope);
    shared->pass_notices();
    return rows;
  };
  auto rows = co_await thread_.compute<Rows>(std::move(work), kDeadline);
  conclude(rows ? "" : rows.error().message());
  co_return rows;
}

ports::Async<void> SqliteLedgerStore::save(std::string scope, std::vector<ports::LedgerRow> rows) {
  std::function<Result<void>()> work = [shared = shared_, scope = std::move(scope), rows = std::move(rows)] {
    auto saved = shared->file.save(scope, rows);
    shared->pass_notices();
    return saved;
  };
  auto saved = co_await thread_.compute<void>(std::move(work), kDeadline);
  conclude(saved ? "" : saved.error().message());
  co_return saved;
}

ports::Async<void> SqliteLedgerStore::forget(std::string scope, std::vector<std::string> ids) {
  std::function<Result<void>()> work = [shared = shared_, scope = std::move(scope), ids = std::move(ids)] {
    auto forgotten = shared->file.forget(scope, ids);
    shared->pass_notices();
    return forgotten;
  };
  auto forgotten = co_await thread_.compute<void>(std::move(work), kDeadline);
  conclude(forgotten ? "" : forgotten.error().message());
  co_return forgotten;
}

void SqliteLedgerStore::conclude(const std::string& failure) {
  error_ = failure;
  std::vector<ports::Event> notices;
  {
    const std::lock_guard lock(shared_->mutex);
    notices.swap(shared_->notices);
  }
  for (auto& notice : notices) journal_.record(std::move(notice));
}

}  // namespace buildwarden::state
