// run_on() for work without a value.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <utility>

#include "tests/support/loop.h"

namespace buildwarden::testing {

inline boost::asio::awaitable<bool> finished(boost::asio::awaitable<void> work) {
  co_await std::move(work);
  co_return true;
}

inline void run_void(boost::asio::io_context& loop, boost::asio::awaitable<void> work) {
  run_on(loop, finished(std::move(work)));
}

}  // namespace buildwarden::testing
