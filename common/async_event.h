// Waiting for something to happen, by any number of coroutines of one loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>

#include "common/units.h"

namespace buildwarden {

// Outlives those who wait. A loop that is woken and stopped by others has a LoopTimer instead.
class AsyncEvent {
 public:
  AsyncEvent() = default;
  AsyncEvent(const AsyncEvent&) = delete;
  AsyncEvent& operator=(const AsyncEvent&) = delete;

  // Wakes all who wait now; nobody who comes later.
  void notify_all();

  // Until the next notify_all() (true), at most `at_most` (false). A cancellation ends it, too (false). Nothing runs
  // between a check and the wait after it, so check first and wait then.
  boost::asio::awaitable<bool> wait(Duration at_most);

 private:
  struct Waiter {
    boost::asio::steady_timer timer;
    bool notified = false;
  };
  std::list<Waiter> waiting_;
};

}  // namespace buildwarden
