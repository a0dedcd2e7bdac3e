#include "common/async_mutex.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace buildwarden {
namespace asio = boost::asio;

// A place in the queue. It is given up when the coroutine ends in whatever way, so that the lock is never handed to
// somebody who is gone.
class AsyncMutex::WaiterPlace {
 public:
  WaiterPlace(AsyncMutex& mutex, std::shared_ptr<Waiter> waiter) : mutex_(mutex), waiter_(std::move(waiter)) {
    mutex_.waiting_.push_back(waiter_);
  }
  WaiterPlace(const WaiterPlace&) = delete;
  WaiterPlace& operator=(const WaiterPlace&) = delete;
  ~WaiterPlace() {
    std::erase(mutex_.waiting_, waiter_);
    if (waiter_->owns && !taken_) mutex_.unlock();
  }
  [[nodiscard]] std::optional<Guard> take() {
    if (!waiter_->owns) return std::nullopt;
    taken_ = true;
    return std::optional<Guard>(std::in_place, &mutex_);
  }

 private:
  AsyncMutex& mutex_;
  std::shared_ptr<Waiter> waiter_;
  bool taken_ = false;
};

asio::awaitable<std::optional<AsyncMutex::Guard>> AsyncMutex::lock(Duration patience) {
  if (!locked_) {
    locked_ = true;
    co_return std::optional<Guard>(std::in_place, this);
  }
  const auto executor = co_await asio::this_coro::executor;
  auto waiter = std::make_shared<Waiter>(executor);
  WaiterPlace place(*this, waiter);
  waiter->timer.expires_after(patience);
  boost::system::error_code woken;
  auto token = asio::redirect_error(asio::use_awaitable, woken);
  co_await waiter->timer.async_wait(token);
  co_return place.take();
}

void AsyncMutex::unlock() {
  if (waiting_.empty()) {
    locked_ = false;
    return;
  }
  const auto next = waiting_.front();
  waiting_.pop_front();
  next->owns = true;
  next->timer.cancel();
}

}  // namespace buildwarden
