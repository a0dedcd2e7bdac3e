// Counts what the rungs did, for the metrics.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/ports/disk.h"

namespace buildwarden::disk {

class ReclaimStats {
 public:
  // `rungs` are shown from the start, with zeros.
  explicit ReclaimStats(const std::vector<policy::RungId>& rungs);
  // One turn of a rung; `result` is "freed", "nothing", "failed" or "unknown" (it
  // could not be measured); `freed` is 0 or more.
  void count(policy::RungId rung, const std::string& result, Bytes freed, Duration took);
  [[nodiscard]] std::vector<ports::RungStats> all() const;

 private:
  std::map<policy::RungId, ports::RungStats> rungs_;
};

}  // namespace buildwarden::disk
