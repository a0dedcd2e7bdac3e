// Waiting for something to happen, by any number of coroutines of one loop.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <utility>

#include "common/units.h"

namespace buildwarden::api {

// Outlives those who wait.
class Bell {
 public:
  explicit Bell(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  // Wakes all who wait now; nobody who comes later.
  void ring();

  // Until the next ring() (true), at most `at_most` (false). A cancellation ends it, too. Nothing runs between a check
  // and the wait after it, so check first and wait then.
  boost::asio::awaitable<bool> wait(Duration at_most);

 private:
  struct Sleeper {
    boost::asio::steady_timer timer;
    bool woken = false;
  };
  boost::asio::any_io_executor executor_;
  std::list<Sleeper> sleepers_;
};

}  // namespace buildwarden::api
