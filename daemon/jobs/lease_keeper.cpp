#include "daemon/jobs/lease_keeper.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <utility>

#include "common/async_event.h"
#include "common/format.h"
#include "common/log.h"
#include "common/worker.h"

namespace buildwarden::jobs {
namespace asio = boost::asio;
namespace {

constexpr Duration kPatience = std::chrono::seconds{1};  // of an answer that waits for its change
constexpr Duration kWriteDeadline =
    std::chrono::seconds{10};  // then the next write is tried, behind the one that hangs
constexpr Duration kBetweenWrites = std::chrono::milliseconds{10};

void keeper_ended(const std::exception_ptr& failure) {
  if (failure) log_error("the writing of the leases ended by an exception");
}

}  // namespace

struct LeaseKeeper::State {
  State(ports::LeaseStore& where, ports::Journal& told, Book what)
      : store(&where), journal(&told), book(std::move(what)), thread(std::make_unique<WorkerPool>(1)) {}

  ports::LeaseStore* store;
  ports::Journal* journal;
  Book book;
  std::unique_ptr<WorkerPool> thread;  // none: the keeper is gone
  std::uint64_t changes = 0;
  std::uint64_t written = 0;  // of the changes
  bool writing = false;
  bool failed = false;
  AsyncEvent done;

  void conclude(const Result<void>& saved) {
    const bool is_news = !saved && !failed;
    failed = !saved;
    if (!is_news) return;
    journal->record({.kind = "job.lease_not_saved",
                     .severity = ports::Severity::kWarning,
                     .reason = format("the leases could not be saved, a restart would forget their changes: {}",
                                      saved.error().message()),
                     .rule = "save_failed",
                     .fields = {}});
  }
};

LeaseKeeper::LeaseKeeper(asio::any_io_executor executor, ports::LeaseStore& store, ports::Journal& journal, Book book)
    : executor_(std::move(executor)), state_(std::make_shared<State>(store, journal, std::move(book))) {}

LeaseKeeper::~LeaseKeeper() {
  state_->thread.reset();
  state_->done.notify_all();
}

void LeaseKeeper::changed() {
  ++state_->changes;
  if (state_->writing) return;
  state_->writing = true;
  asio::co_spawn(executor_, write(state_), keeper_ended);
}

asio::awaitable<void> LeaseKeeper::write(std::shared_ptr<State> state) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor);
  while (state->thread && state->written < state->changes) {
    const auto upto = state->changes;
    const auto book = std::make_shared<const ports::LeaseBook>(state->book());
    std::function<Result<void>()> work = [store = state->store, book] { return store->save_leases(*book); };
    const auto saved = co_await state->thread->compute<void>(std::move(work), kWriteDeadline);
    if (!state->thread) co_return;
    state->written = upto;
    state->conclude(saved);
    state->done.notify_all();
    if (state->written == state->changes) break;
    timer.expires_after(kBetweenWrites);
    boost::system::error_code woken;
    auto token = asio::redirect_error(asio::use_awaitable, woken);
    co_await timer.async_wait(token);
  }
  state->writing = false;
}

asio::awaitable<void> LeaseKeeper::saved() {
  const auto state = state_;
  const auto wanted = state->changes;
  while (state->thread && state->written < wanted) {
    const bool notified = co_await state->done.wait(kPatience);
    if (!notified) co_return;
  }
}

}  // namespace buildwarden::jobs
