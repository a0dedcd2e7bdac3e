// The loops around the watch's turns.
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "common/beat.h"
#include "common/stoppable.h"
#include "daemon/disk/watch.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kLookAtReclaim = std::chrono::seconds{60};  // each turn of the watch that finds a need wakes it
constexpr Duration kLookAtUsers = kIdleBeat;

}  // namespace

asio::awaitable<void> Watch::run() {
  if (stopping_) co_return;
  auto loops = all_loops();
  co_await run_stoppable(std::move(loops), cancel_.slot());
}

void Watch::look_now() {
  not_before_.reset();
  mounts_changed();
}

void Watch::mounts_changed() {
  every_ = true;
  watch_sleep_.wake();
}

void Watch::stop() {
  stopping_ = true;
  parts_.ballast.stop();
  cancel_.emit(asio::cancellation_type::terminal);
}

asio::awaitable<void> Watch::all_loops() {
  using namespace asio::experimental::awaitable_operators;  // NOLINT(google-build-using-namespace)
  co_await (watch_loop() && reclaim_loop() && users_loop());
}

asio::awaitable<void> Watch::watch_loop() {
  while (!stopping_) {
    const bool every = std::exchange(every_, false);
    const auto pause = co_await turn(every);
    co_await watch_sleep_.sleep(pause);
  }
}

asio::awaitable<void> Watch::reclaim_loop() {
  while (!stopping_) {
    const bool tried = co_await reclaim_turn();
    if (!tried) co_await reclaim_sleep_.sleep(kLookAtReclaim);
  }
}

asio::awaitable<void> Watch::users_loop() {
  while (!stopping_) {
    co_await parts_.users.refresh();
    co_await users_sleep_.sleep(kLookAtUsers);
  }
}

}  // namespace buildwarden::disk
