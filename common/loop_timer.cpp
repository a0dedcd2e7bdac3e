#include "common/loop_timer.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <utility>

#include "common/tick.h"

namespace buildwarden {
namespace asio = boost::asio;

asio::awaitable<void> LoopTimer::run(asio::awaitable<void> work) {
  if (stopped_) co_return;
  const auto executor = co_await asio::this_coro::executor;
  auto token = asio::bind_cancellation_slot(breaks_off_.slot(), asio::use_awaitable);
  try {
    co_await asio::co_spawn(executor, std::move(work), token);
  } catch (const boost::system::system_error& error) {
    if (error.code() != asio::error::operation_aborted) throw;
  }
}

asio::awaitable<void> LoopTimer::sleep_for(Duration time) {
  return sleep_until(wait_end(std::chrono::steady_clock::now(), time));
}

// Also a sleep that ends at once lets others have the loop.
asio::awaitable<void> LoopTimer::sleep_until(Instant end) {
  const auto executor = co_await asio::this_coro::executor;
  if (!timer_) timer_.emplace(executor);
  timer_->expires_at(woken_ || stopped_ ? std::chrono::steady_clock::now() : end);
  boost::system::error_code woken;
  auto token = asio::redirect_error(asio::use_awaitable, woken);
  co_await timer_->async_wait(token);
  woken_ = false;
}

void LoopTimer::wake() {
  woken_ = true;
  if (timer_) timer_->cancel();
}

void LoopTimer::wake_if_longer_than(Duration time) {
  if (timer_ && timer_->expiry() > std::chrono::steady_clock::now() + time) timer_->cancel();
}

void LoopTimer::stop() {
  stopped_ = true;
  if (timer_) timer_->cancel();
  breaks_off_.emit(asio::cancellation_type::terminal);
}

asio::awaitable<bool> sleep_for(Duration time) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, time);
  boost::system::error_code cancelled;
  auto token = asio::redirect_error(asio::use_awaitable, cancelled);
  co_await timer.async_wait(token);
  co_return !cancelled;
}

}  // namespace buildwarden
