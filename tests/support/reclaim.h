// For tests of the reclaimer.
#pragma once

#include <string>
#include <vector>

#include "daemon/reclaim/reclaimer.h"

namespace buildwarden::testing {

// No pause between two deletions, and at most `settle` for what a deletion frees to show.
inline disk::ReclaimPace quick_pace(Duration settle) {
  disk::ReclaimPace pace;
  pace.settle = settle;
  pace.poll = Duration{1};
  pace.pause = Duration{0};
  return pace;
}

// What its steps deleted, in their order.
inline std::vector<std::string> names_of(const ports::SpaceResult& result) {
  std::vector<std::string> names;
  for (const auto& step : result.steps) names.push_back(step.what);
  return names;
}

}  // namespace buildwarden::testing
