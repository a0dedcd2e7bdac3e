// May a job start now? Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/time.h"
#include "daemon/policy/pressure.h"

namespace buildwarden::policy {

struct GateFilesystem {
  std::string mount;
  Level level = Level::kUnknown;
  Bytes free = 0;
  Bytes critical = 0;
  std::int64_t free_inodes = 0;
  std::int64_t critical_inodes = 0;
};

// Space promised to a job that is already running.
struct Reservation {
  std::string job;
  Bytes bytes = 0;
  BootTime since;
  Bytes free_at_start = 0;  // what the filesystem had then: what has been written since is used up already
};

enum class Verdict : std::uint8_t { kRun, kMakeRoom, kRefuse };

struct Admission {
  Verdict verdict = Verdict::kRun;
  std::string reason;     // one sentence with its numbers
  std::string rule;       // "enough", "unknown", "not_enough"
  Bytes wanted_free = 0;  // what the filesystem must have for kRun
  std::string mount;      // the filesystem that decided
  std::int64_t wanted_inodes = 0;
};

// free - reservations >= max(critical, need) on every gating filesystem → run, also at low. Unknown → run.
// Otherwise make room first (`room_was_made` false), or refuse (true: all that is allowed was done).
// `reserved`: bytes promised to others and not yet written, see outstanding().
Admission admit(const std::vector<GateFilesystem>& gates, Bytes reserved, Bytes need, bool room_was_made);

// What still counts of the reservations: each until min(job end, 15 min), less what the filesystem has lost since.
Bytes outstanding(const std::vector<Reservation>& reserved, Bytes free_now, BootTime now);

}  // namespace buildwarden::policy
