// What the daemon did within the last hour that shows in a curve of free space.
#pragma once

#include <deque>
#include <string>

#include "daemon/ports/journal.h"

namespace buildwarden::api {

struct ChartEvent {
  WallTime at;
  bool is_heal = false;  // of a builder; else a reclaim that took something
  std::string mount;     // of a reclaim
  std::string reason;
};

// For the loop's thread alone. Bounded: the latest kMost of one hour.
class ChartEvents {
 public:
  static constexpr std::size_t kMost = 100;
  static constexpr Duration kBack = std::chrono::hours{1};

  // Takes what was recorded since the last look.
  void look(const ports::EventSource& events, WallTime now);
  // Oldest first.
  [[nodiscard]] const std::deque<ChartEvent>& all() const { return all_; }

 private:
  std::uint64_t seen_ = 0;
  std::deque<ChartEvent> all_;
};

}  // namespace buildwarden::api
