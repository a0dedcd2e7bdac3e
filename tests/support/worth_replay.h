// A trace replayed on a disk of some size: what jobs waited for because it was gone.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tests/support/worth_trace.h"

namespace buildwarden::testing {

enum class ReplayPolicy : std::uint8_t {
  kValue,        // the daemon's order by worth
  kLastUse,      // the daemon's order by last use
  kUntil4h,      // all that was made more than four hours ago (images) or not used since (cache), then by last use
  kClairvoyant,  // knows the trace: the greatest (time until the next use x bytes / cost) goes first; no trees bind it
  kClairvoyantOfTrees,  // the same, bound by trees as BuildKit is: a record goes only after those that are built on it
};
// "value", "last_use", "until=4h", "clairvoyant", "clairvoyant_of_trees".
std::optional<ReplayPolicy> replay_policy(std::string_view name);

struct ReplayOptions {
  Bytes disk = 0;
  ReplayPolicy policy = ReplayPolicy::kValue;
  double noise = 0;  // sigma of the log-normal factor by which each cost was learned wrong
  std::uint64_t seed = 1;
};

struct ReplayResult {
  std::size_t jobs = 0;
  double rebuild_seconds = 0;
  Bytes evicted_bytes = 0;
  std::size_t evictions = 0;
  double decision_microseconds_p99 = 0;  // of the order alone; 0 of clairvoyant
};

// When less than 15 % of the disk is free, things go until 25 % are, but never what the job holds.
ReplayResult replay(const Trace& trace, const ReplayOptions& options);

}  // namespace buildwarden::testing
