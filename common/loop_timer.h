// The timer of a room's loop: how it sleeps between two turns, and how it ends.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>

#include "common/units.h"

namespace buildwarden {

// A room's run() is `return loop_timer_.run(loop());`, its stop() is `loop_timer_.stop()`, and its loop is
//
//   while (!loop_timer_.stopped()) {
//     co_await turn();
//     co_await loop_timer_.sleep_for(kLook);
//   }
//
// For one coroutine at a time, on its loop alone. Outlives the coroutines that run and sleep in it, unless they are
// destroyed without being resumed.
class LoopTimer {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  LoopTimer() = default;
  LoopTimer(const LoopTimer&) = delete;
  LoopTimer& operator=(const LoopTimer&) = delete;

  // Runs `work` to its end, or until stop(), which breaks it off wherever it waits; that is no error. What else it
  // throws goes on. Of a `work` that would begin after stop() nothing happens.
  boost::asio::awaitable<void> run(boost::asio::awaitable<void> work);

  // Ends after about `time` (wait_end()); sooner by wake(), by stop(), or when the coroutine is cancelled. A wake()
  // that came since the last sleep ended counts: what happened during a turn is seen by the next one at once.
  boost::asio::awaitable<void> sleep_for(Duration time);
  // The same until exactly `end`; Instant::max(): until it is woken.
  boost::asio::awaitable<void> sleep_until(Instant end);

  void wake();
  // Cuts short only a sleep under way that would last longer than `time` from now. It is not remembered.
  void wake_if_longer_than(Duration time);

  // For good, and any number of times: run() ends promptly, and from now on every sleep ends at once.
  void stop();
  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  std::optional<boost::asio::steady_timer> timer_;  // on the loop of who sleeps
  boost::asio::cancellation_signal breaks_off_;
  bool woken_ = false;
  bool stopped_ = false;
};

// Exactly `time`. false: it was cut short, since the coroutine was cancelled. For a wait that nobody cuts short,
// between two looks at something that tells nobody when it changes.
boost::asio::awaitable<bool> sleep_for(Duration time);

}  // namespace buildwarden
