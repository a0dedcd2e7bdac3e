#include "common/stoppable.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <utility>

namespace buildwarden {
namespace asio = boost::asio;

asio::awaitable<void> run_stoppable(asio::awaitable<void> work, asio::cancellation_slot stop) {
  const auto executor = co_await asio::this_coro::executor;
  auto token = asio::bind_cancellation_slot(stop, asio::use_awaitable);
  try {
    co_await asio::co_spawn(executor, std::move(work), token);
  } catch (const boost::system::system_error& error) {
    if (error.code() != asio::error::operation_aborted) throw;
  }
}

}  // namespace buildwarden
