#include "common/worker.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <string>

namespace buildwarden {
namespace asio = boost::asio;

namespace {

// What the loop waits for: the timer is cancelled from the loop's own executor when the job is done.
struct Pending {
  explicit Pending(const asio::any_io_executor& executor) : timer(executor) {}
  asio::steady_timer timer;
  bool done = false;
  std::string failure;
};

void finish(const std::shared_ptr<Pending>& pending, std::string failure) {
  pending->done = true;
  pending->failure = std::move(failure);
  pending->timer.cancel();
}

std::string run_guarded(const std::function<void()>& work) {
  try {
    work();
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace

WorkerPool::WorkerPool(std::size_t threads) : pool_(threads) {}

WorkerPool::~WorkerPool() { pool_.join(); }

void WorkerPool::post(std::function<void()> work) { asio::post(pool_, std::move(work)); }

asio::awaitable<Result<void>> WorkerPool::run(std::function<void()> work, Duration deadline) {
  const auto executor = co_await asio::this_coro::executor;
  auto pending = std::make_shared<Pending>(executor);
  pending->timer.expires_after(deadline);
  // The timer goes back to the loop with the answer: the loop may be gone by the time that the thread lets go of the
  // job.
  auto job = [pending, executor, work = std::move(work)]() mutable {
    auto failure = run_guarded(work);
    auto answer = [pending = std::move(pending), failure = std::move(failure)]() mutable {
      finish(pending, std::move(failure));
    };
    asio::post(executor, std::move(answer));
  };
  asio::post(pool_, std::move(job));
  boost::system::error_code cancelled;
  auto token = asio::redirect_error(asio::use_awaitable, cancelled);
  co_await pending->timer.async_wait(token);
  if (!pending->done && cancelled) co_return Error(Errc::kCancelled, "nobody waits for the worker any more");
  if (!pending->done) co_return Error(Errc::kTimeout, "a worker did not finish in time");
  if (!pending->failure.empty()) co_return Error(Errc::kIo, pending->failure);
  co_return Result<void>{};
}

}  // namespace buildwarden
