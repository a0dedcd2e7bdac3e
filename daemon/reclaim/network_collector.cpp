#include "daemon/reclaim/network_collector.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kLongestPause = std::chrono::minutes{10};
constexpr Duration kShortestPause = std::chrono::seconds{1};
constexpr Duration kBetweenDryRuns = std::chrono::hours{1};

}  // namespace

asio::awaitable<void> NetworkCollector::turn() {
  policy::RungTurn turn{.rung = policy::RungId::kContainers};
  turn.age = std::max(parts_.settings.disk.keep_used_within, parts_.settings.disk.grace);
  co_await parts_.reclaimer.collect(&parts_.networks, std::move(turn), "empty networks");
}

Duration NetworkCollector::pause() const {
  if (parts_.settings.dry_run) return kBetweenDryRuns;
  return std::clamp(parts_.settings.disk.keep_used_within / 4, kShortestPause, kLongestPause);
}

asio::awaitable<void> NetworkCollector::run() { return loop_timer_.run(loop()); }

asio::awaitable<void> NetworkCollector::loop() {
  while (!loop_timer_.stopped()) {
    co_await turn();
    co_await loop_timer_.sleep_for(pause());
  }
}

}  // namespace buildwarden::disk
