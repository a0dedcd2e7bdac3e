#include "common/pause.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace buildwarden {
namespace asio = boost::asio;

asio::awaitable<bool> pause_for(Duration time) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, time);
  boost::system::error_code cancelled;
  auto token = asio::redirect_error(asio::use_awaitable, cancelled);
  co_await timer.async_wait(token);
  co_return !cancelled;
}

}  // namespace buildwarden
