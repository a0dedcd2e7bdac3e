#include "daemon/engine/gate.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace buildwarden::engine {
namespace asio = boost::asio;

// Its turn comes by cancelling the timer; `admitted` tells that from a cancelled wait.
struct Gate::Waiter {
  explicit Waiter(const asio::any_io_executor& executor) : timer(executor, asio::steady_timer::time_point::max()) {}
  asio::steady_timer timer;
  bool admitted = false;
};

asio::awaitable<Result<Gate::Pass>> Gate::enter() {
  if (!busy_) {
    busy_ = true;
    co_return Pass(*this);
  }
  const auto executor = co_await asio::this_coro::executor;
  const auto waiter = std::make_shared<Waiter>(executor);
  waiters_.push_back(waiter);
  co_await waiter->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  if (waiter->admitted) co_return Pass(*this);
  waiters_.remove(waiter);
  co_return Error(Errc::kCancelled, "cancelled while waiting for another call to the engine");
}

void Gate::leave() {
  if (waiters_.empty()) {
    busy_ = false;
    return;
  }
  const auto next = waiters_.front();
  waiters_.pop_front();
  next->admitted = true;
  next->timer.cancel();
}

}  // namespace buildwarden::engine
