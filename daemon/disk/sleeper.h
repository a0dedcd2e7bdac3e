// A wait that can be cut short: what loops do between two turns.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/units.h"

namespace buildwarden::disk {

// For one coroutine at a time; used on its loop only.
class Sleeper {
 public:
  // Ends after `time` (wait_end()), at wake(), at once when wake() came since the last sleep, or when the coroutine is
  // cancelled.
  boost::asio::awaitable<void> sleep(Duration time);
  void wake();
  // Only a sleep that would last longer than `time` is cut short.
  void wake_if_longer_than(Duration time);

 private:
  class Asleep;
  boost::asio::steady_timer* timer_ = nullptr;  // while somebody sleeps
  bool woken_ = false;
};

}  // namespace buildwarden::disk
