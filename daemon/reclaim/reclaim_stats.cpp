#include "daemon/reclaim/reclaim_stats.h"

#include <algorithm>

namespace buildwarden::disk {

ReclaimStats::ReclaimStats(const std::vector<policy::RungId>& rungs) {
  for (const auto rung : rungs) {
    auto& stats = rungs_[rung];
    stats.rung = std::string(policy::to_string(rung));
    for (const char* result : {"freed", "nothing", "failed", "unknown"}) stats.runs[result] = 0;
  }
}

void ReclaimStats::count(policy::RungId rung, const std::string& result, Bytes freed, Duration took) {
  const auto found = rungs_.find(rung);
  if (found == rungs_.end()) return;
  auto& stats = found->second;
  ++stats.runs[result];
  stats.freed += freed;
  const double seconds = std::chrono::duration<double>(took).count();
  const auto& bounds = ports::kRungSecondsBounds;
  const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), seconds) - bounds.begin();
  ++stats.seconds_buckets[static_cast<std::size_t>(bucket)];
  stats.seconds_sum += seconds;
}

std::vector<ports::RungStats> ReclaimStats::all() const {
  std::vector<ports::RungStats> all;
  for (const auto& [rung, stats] : rungs_) all.push_back(stats);
  return all;
}

}  // namespace buildwarden::disk
