#include "common/turnstile.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace buildwarden {
namespace asio = boost::asio;

// A place in the queue. It is given up when the coroutine ends in whatever way, so that nobody is admitted who is gone.
class Turnstile::Place {
 public:
  Place(Turnstile& turnstile, std::shared_ptr<Waiter> waiter) : turnstile_(turnstile), waiter_(std::move(waiter)) {
    turnstile_.waiting_.push_back(waiter_);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    std::erase(turnstile_.waiting_, waiter_);
    if (waiter_->admitted && !taken_) turnstile_.leave();
  }
  [[nodiscard]] std::optional<Pass> take() {
    if (!waiter_->admitted) return std::nullopt;
    taken_ = true;
    return std::optional<Pass>(std::in_place, &turnstile_);
  }

 private:
  Turnstile& turnstile_;
  std::shared_ptr<Waiter> waiter_;
  bool taken_ = false;
};

asio::awaitable<std::optional<Turnstile::Pass>> Turnstile::enter(Duration patience) {
  if (!busy_) {
    busy_ = true;
    co_return std::optional<Pass>(std::in_place, this);
  }
  const auto executor = co_await asio::this_coro::executor;
  auto waiter = std::make_shared<Waiter>(executor);
  Place place(*this, waiter);
  waiter->timer.expires_after(patience);
  boost::system::error_code woken;
  auto token = asio::redirect_error(asio::use_awaitable, woken);
  co_await waiter->timer.async_wait(token);
  co_return place.take();
}

void Turnstile::leave() {
  if (waiting_.empty()) {
    busy_ = false;
    return;
  }
  const auto next = waiting_.front();
  waiting_.pop_front();
  next->admitted = true;
  next->timer.cancel();
}

}  // namespace buildwarden
