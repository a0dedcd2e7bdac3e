// How late the loop runs its timers: what everything else on it waits for, too.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>

namespace buildwarden::telemetry {

class LoopProbe {
 public:
  using Instant = std::chrono::steady_clock::time_point;
  using Report = std::function<void(std::chrono::duration<double> lateness)>;

  // How often it looks now: a stall is seen when it covers an expiry, so shorter ones are sampled, not counted.
  using Pace = std::function<std::chrono::milliseconds()>;
  LoopProbe(const boost::asio::any_io_executor& executor, Report report, Pace pace);

  // Until stop(). The probe outlives it.
  boost::asio::awaitable<void> run();
  void stop();

  // One turn: reports how late `now` is and returns when the next one is due, a whole multiple of the period. After a
  // stall of more than a period the missed ones are not made up for.
  Instant turn(Instant due, Instant now);

 private:
  boost::asio::steady_timer timer_;
  Report report_;
  Pace pace_;
  bool stopped_ = false;
};

}  // namespace buildwarden::telemetry
