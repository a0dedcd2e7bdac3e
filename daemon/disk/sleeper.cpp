#include "daemon/disk/sleeper.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/beat.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

class Sleeper::Asleep {
 public:
  Asleep(Sleeper& sleeper, asio::steady_timer* timer) : sleeper_(sleeper) { sleeper_.timer_ = timer; }
  Asleep(const Asleep&) = delete;
  Asleep& operator=(const Asleep&) = delete;
  ~Asleep() {
    sleeper_.timer_ = nullptr;
    sleeper_.woken_ = false;
  }

 private:
  Sleeper& sleeper_;
};

asio::awaitable<void> Sleeper::sleep(Duration time) {
  const auto executor = co_await asio::this_coro::executor;
  const auto now = asio::steady_timer::clock_type::now();
  asio::steady_timer timer(executor, woken_ ? now : wait_end(now, time));
  const Asleep asleep(*this, &timer);
  boost::system::error_code woken;
  auto token = asio::redirect_error(asio::use_awaitable, woken);
  co_await timer.async_wait(token);
}

void Sleeper::wake() {
  woken_ = true;
  if (timer_ != nullptr) timer_->cancel();
}

void Sleeper::wake_if_longer_than(Duration time) {
  if (timer_ != nullptr && timer_->expiry() > asio::steady_timer::clock_type::now() + time) timer_->cancel();
}

}  // namespace buildwarden::disk
