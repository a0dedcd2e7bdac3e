#include "daemon/telemetry/loop_probe.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "common/tick.h"

namespace buildwarden::telemetry {

LoopProbe::LoopProbe(const boost::asio::any_io_executor& executor, Report report, Pace pace)
    : timer_(executor), report_(std::move(report)), pace_(std::move(pace)) {}

LoopProbe::Instant LoopProbe::turn(Instant due, Instant now) {
  const auto late = std::max(now - due, Instant::duration::zero());
  report_(std::chrono::duration<double>(late));
  return next_tick(std::max(due, now), pace_());
}

boost::asio::awaitable<void> LoopProbe::run() {
  Instant due = next_tick(std::chrono::steady_clock::now(), pace_());
  while (!stopped_) {
    timer_.expires_at(due);
    const auto [failed] = co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    if (failed) co_return;  // stopped or cancelled: a timer fails for no other reason
    due = turn(due, std::chrono::steady_clock::now());
  }
}

void LoopProbe::stop() {
  stopped_ = true;
  timer_.cancel();
}

}  // namespace buildwarden::telemetry
