// The loops around the disk monitor's turns.
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <utility>

#include "common/tick.h"
#include "daemon/filesystems/disk_monitor.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kLookAtReclaim = std::chrono::seconds{60};  // each turn() that finds a need wakes it
constexpr Duration kLookAtUsers = kIdleTick;

}  // namespace

asio::awaitable<void> DiskMonitor::run() { return loop_timer_.run(all_loops()); }

void DiskMonitor::look_now() {
  not_before_.reset();
  mounts_changed();
}

void DiskMonitor::mounts_changed() {
  every_ = true;
  loop_timer_.wake();
}

void DiskMonitor::stop() { loop_timer_.stop(); }

asio::awaitable<void> DiskMonitor::all_loops() {
  using namespace asio::experimental::awaitable_operators;  // NOLINT(google-build-using-namespace)
  co_await (watch_loop() && reclaim_loop() && users_loop());
}

asio::awaitable<void> DiskMonitor::watch_loop() {
  while (!loop_timer_.stopped()) {
    const bool every = std::exchange(every_, false);
    const auto pause = co_await turn(every);
    co_await loop_timer_.sleep_for(pause);
  }
}

asio::awaitable<void> DiskMonitor::reclaim_loop() {
  while (!loop_timer_.stopped()) {
    const bool tried = co_await reclaim_turn();
    if (!tried) co_await reclaim_timer_.sleep_for(kLookAtReclaim);
  }
}

asio::awaitable<void> DiskMonitor::users_loop() {
  while (!loop_timer_.stopped()) {
    co_await parts_.users.refresh();
    co_await users_timer_.sleep_for(kLookAtUsers);
  }
}

}  // namespace buildwarden::disk
