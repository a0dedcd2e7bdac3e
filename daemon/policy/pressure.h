// How much space a filesystem has, what that means, and how fast it goes. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/time.h"
#include "config/settings.h"

namespace buildwarden::policy {

enum class Level : std::uint8_t { kOk, kLow, kCritical, kExhausted, kUnknown };
std::string_view to_string(Level level);

// One statvfs of one filesystem.
struct Reading {
  Bytes total = 0;
  Bytes free = 0;                 // f_bavail: what an unprivileged writer may still have
  std::int64_t total_inodes = 0;  // 0: the filesystem has no inode limit
  std::int64_t free_inodes = 0;   // f_favail
  Now at;
  // f_bfree, with what only root may still have: an engine runs as root and writes on into that reserve at free 0, and
  // what is deleted then shows here first. Below `free`: not known.
  Bytes free_to_root = 0;
};

// Strictly less than a mark is below it.
struct Marks {
  Bytes critical = 0;
  Bytes low = 0;
  Bytes target = 0;                  // reclaiming goes on up to here
  std::int64_t critical_inodes = 0;  // all three 0 without an inode limit
  std::int64_t low_inodes = 0;
  std::int64_t target_inodes = 0;
  // Keys that ask for more than the filesystem holds, in one sentence; "" when none does. Shares of the filesystem
  // count in their place, so that a slip of the pen neither deletes nor lets it run full; see marks_for().
  std::string mistake = {};
};

// critical = min_free as written; low = max(reclaim_below, 1.25 x min_free); target = max(reclaim_to, 1.5 x min_free).
// On a filesystem smaller than 2 x min_free the factors end a quarter and half of the way from critical to the total:
// what can be reached. A filesystem that does not gate warns at 1 GiB or 5 % of it, whichever is less, and has no
// critical mark. Marks are never above the total.
// A gating filesystem that does not hold what a key asks for (min_free or min_free_inodes all of it or more,
// reclaim_below or reclaim_to more than all) is a mistake of the configuration: of bytes 10 % is then critical, 15 %
// low and 25 % the target, of inodes 5 % critical.
Marks marks_for(const DiskSettings& settings, const Reading& reading, bool gate);

// Nothing can be written any more. Not only at 0: XFS keeps back some blocks that it shows as free, and a writer gives
// up at its first write that finds no place, so what is left is less than that write (tried: 20 KiB and 340 KiB on XFS,
// 3 KiB and 895 KiB on ext4, for writes of 4 KiB and 1 MiB). Hence less than 1 MiB; on a filesystem below 256 MiB less
// than a 256th of it.
bool is_exhausted(const Reading& reading);

// What is remembered of a filesystem between two turns. A new one (or one that was replaced by a mount) starts empty.
struct PressureMemory {
  Level level = Level::kUnknown;
  bool was_ok = false;          // at least once since the memory began
  std::vector<Reading> recent;  // oldest first, at most kRecentReadings
};
inline constexpr std::size_t kRecentReadings = 32;

struct Pressure {
  Level level = Level::kUnknown;
  bool reclaim = false;                    // space should be made now: below low, still below target, or forecast
  double fill_bytes_per_second = 0;        // negative: it empties
  std::optional<Duration> until_critical;  // at this rate; nothing when it does not fill or lasts over 30 days
  Duration next_sample{1000};              // 20 ms when critical is near, seconds when calm
  std::string reason;                      // one sentence with the numbers
  // Which rule decided: "enough", "forecast", "until_target", "no_reading", "bad_reading", or "free_" or "inodes_" with
  // "below_low", "below_critical", "exhausted".
  std::string rule;
};

struct Assessment {
  Pressure pressure;
  PressureMemory memory;
};

// One turn. `reading` absent = it failed or is stale: the level is unknown and nothing is asked for.
// Hysteresis: once below low, the level and the wish to reclaim stay until the target is reached.
Assessment assess(const std::optional<Reading>& reading, const Marks& marks, PressureMemory memory);

}  // namespace buildwarden::policy
