// Collects the caches of builders that nobody uses, down to their share.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/loop_timer.h"
#include "daemon/policy/idle_cache.h"
#include "daemon/ports/builders.h"
#include "daemon/ports/disk.h"
#include "daemon/reclaim/reclaimer.h"

namespace buildwarden::disk {

// On the loop's thread alone. Must outlive run(); a collection under way ends with the reclaimer.
class IdleCacheCollector {
 public:
  struct Source {
    std::string builder;
    ports::Evictor* rung;  // of this builder's cache alone
    Amount share;          // of the filesystem that the rung frees
  };
  // All outlive it.
  struct Parts {
    std::function<std::vector<Source>()> sources;  // as they are now; the rungs outlive it
    const ports::BuilderViews& builders;
    const ports::DiskViews& disk;
    Reclaimer& reclaimer;
    const Clock& clock;
    const Settings& settings;
  };
  explicit IdleCacheCollector(Parts parts) : parts_(std::move(parts)) {}

  // One turn: looks at each builder, and has the reclaimer collect what is idle and over its share.
  boost::asio::awaitable<void> turn();
  boost::asio::awaitable<void> run();
  void stop() { loop_timer_.stop(); }

 private:
  [[nodiscard]] policy::IdleCacheFacts facts_of(const Source& source) const;
  [[nodiscard]] policy::RungTurn collection_turn() const;

  Parts parts_;
  std::map<std::string, policy::IdleCacheMemory> memory_;
  LoopTimer loop_timer_;
};

}  // namespace buildwarden::disk
