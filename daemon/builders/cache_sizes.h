// How large the builders' caches are: asked in the background, answered from memory.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>

#include "common/clock.h"
#include "common/loop_timer.h"
#include "daemon/builders/caches.h"

namespace buildwarden::builders {

// On the loop's thread alone. Must outlive run(), which ends promptly after stop().
class CacheSizes {
 public:
  // What `caches` names outlives it.
  CacheSizes(CacheList caches, const Clock& clock);

  // One turn: measures those whose size was asked a minute ago, or ten seconds where it is not known.
  boost::asio::awaitable<void> turn();
  boost::asio::awaitable<void> run();
  void stop() { loop_timer_.stop(); }

 private:
  boost::asio::awaitable<void> loop();
  CacheList caches_;
  std::map<BuilderCache*, BootTime> asked_;
  const Clock& clock_;
  LoopTimer loop_timer_;
};

}  // namespace buildwarden::builders
