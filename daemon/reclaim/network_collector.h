// Networks that have been empty for the age, removed in the background.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/loop_timer.h"
#include "config/settings.h"
#include "daemon/reclaim/reclaimer.h"

namespace buildwarden::disk {

// However much is free: each network takes one of the engine's address pools, of which there are 31 by default, and
// what the Elastic CI Stack's hourly docker-gc does about them stands down while this daemon is at work. The age is
// keep_used_within (DOCKER_PRUNE_UNTIL). Used on the loop only; outlives the loop's last turn.
class NetworkCollector {
 public:
  struct Parts {
    const Settings& settings;
    Reclaimer& reclaimer;
    ports::Evictor& networks;
  };
  explicit NetworkCollector(Parts parts) : parts_(parts) {}

  // One turn: each candidate is asked about again and recorded as in a reclaim; of a dry run it is said.
  boost::asio::awaitable<void> turn();
  // A turn each quarter of the age, at least every ten minutes and at most every second; of a dry run, each hour.
  boost::asio::awaitable<void> run();
  void stop() { loop_timer_.stop(); }

 private:
  boost::asio::awaitable<void> loop();
  [[nodiscard]] Duration pause() const;

  Parts parts_;
  LoopTimer loop_timer_;
};

}  // namespace buildwarden::disk
