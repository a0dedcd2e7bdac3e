// Waiting for something to happen, by any number of coroutines of one loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>

#include "common/units.h"

namespace buildwarden {

// Outlives those who wait. A loop that is woken, rested and stopped by others has a Pacemaker instead.
class Bell {
 public:
  Bell() = default;
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;

  // Wakes all who wait now; nobody who comes later.
  void ring();

  // Until the next ring() (true), at most `at_most` (false). A cancellation ends it, too (false). Nothing runs between
  // a check and the wait after it, so check first and wait then.
  boost::asio::awaitable<bool> wait(Duration at_most);

 private:
  struct Waiter {
    boost::asio::steady_timer timer;
    bool rung = false;
  };
  std::list<Waiter> waiting_;
};

}  // namespace buildwarden
