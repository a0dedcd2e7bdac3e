// May a job start now, and how much of the disk is promised to those that run? Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/time.h"
#include "daemon/policy/pressure.h"

namespace buildwarden::policy {

// A reservation ends after so long, whatever becomes of it.
inline constexpr Duration kReservedFor = std::chrono::minutes{15};
// One whose job writes nothing counts in full for so long, then ever less, and not at all any more after
// `kReservedIdle`.
inline constexpr Duration kReservedInFull = std::chrono::minutes{3};
inline constexpr Duration kReservedIdle = std::chrono::minutes{6};
// What one user's jobs may hold reserved together, of what a filesystem holds above its critical mark. Root's may more.
inline constexpr double kReservedShareOfUser = 0.75;

struct GateFilesystem {
  std::string mount;
  Level level = Level::kUnknown;
  Bytes free = 0;
  Bytes critical = 0;
  std::int64_t free_inodes = 0;
  std::int64_t critical_inodes = 0;
  Bytes total = 0;   // 0: not known
  Bytes target = 0;  // the mark of reclaim_to; 0: not known
};

// Space promised to a job that is already running.
struct Reservation {
  std::string job;
  std::string pipeline;
  std::uint32_t uid = 0;
  Bytes bytes = 0;
  Bytes from_all = 0;  // of `bytes`, what is kept also from jobs that ask for nothing: it left them the critical mark
  BootTime since;
  Bytes free_at_start = 0;  // what the filesystem had then: what has been written since is used up already
  Bytes written = 0;        // of `bytes`, as far as observed() has seen
  BootTime wrote{};         // when that was last seen to grow; `since` at first
};

// What still counts of a reservation.
struct Promise {
  std::string job;
  std::string pipeline;
  std::uint32_t uid = 0;
  Bytes bytes = 0;
  Bytes from_all = 0;  // of `bytes`, as in Reservation
};
Bytes sum_of(const std::vector<Promise>& promised);
Bytes sum_from_all(const std::vector<Promise>& promised);

struct JobNeed {
  Bytes bytes = 0;
  std::uint32_t uid = 0;  // 0: may have room made beyond reclaim_to, and hold as much as there is
};

enum class Verdict : std::uint8_t { kRun, kMakeRoom, kRefuse };

struct Admission {
  Verdict verdict = Verdict::kRun;
  std::string reason;     // one sentence with its numbers
  std::string rule;       // "enough", "unknown", "not_enough", "never_fits", "above_reclaim_to", "out_of_reach"
  Bytes wanted_free = 0;  // what the filesystem must have for kRun
  std::string mount;      // the filesystem that decided
  std::int64_t wanted_inodes = 0;
  // Of kMakeRoom: more is wanted than every job must find, so nothing is deleted for it before an estimate says that it
  // can be reached.
  bool needs_estimate = false;
  bool hits_all = false;  // of kRefuse: a job that needs nothing would be refused as well
};

// free - reservations >= max(critical, need) on every gating filesystem → run, also at low; a reservation leaves the
// critical mark to those that need no more. Unknown → run.
// What is beyond the filesystem's size less its critical mark is refused at once, and so is what only root may have
// made free. Otherwise make room first (`room_was_made` false), or refuse (true: all that is allowed was done).
// `promised`: to others and not yet written, see outstanding().
Admission admit(const std::vector<GateFilesystem>& gates, const std::vector<Promise>& promised, const JobNeed& need,
                bool room_was_made);

// What would be free after all that may go was deleted.
struct SpaceEstimate {
  bool known = false;  // false: of something that may go nobody knows the size, or nobody could look
  bool reached = false;
  Bytes free_after = 0;
};
// `wanted` as it is, or refused where the estimate says that deleting all would be for nothing.
Admission weighed(Admission wanted, const SpaceEstimate& estimate);

// How much of its need is promised to a job that may run: no user holds more than its share, and jobs that ask for
// nothing find the critical mark as long as nobody writes. Nothing where nothing is known.
struct Reservable {
  Bytes bytes = 0;
  Bytes from_all = 0;  // as in Reservation
};
Reservable reservable(const std::vector<GateFilesystem>& gates, const std::vector<Promise>& promised,
                      const JobNeed& need);

// The reservations with what has been written by now. Each byte that the filesystem lost counts once, for one of those
// that were there when it was lost; what came back is not taken off again.
std::vector<Reservation> observed(std::vector<Reservation> reserved, Bytes free_now, BootTime now);

// What still counts of them: what is not written, for kReservedFor at most, and less where nothing is written at all.
std::vector<Promise> outstanding(const std::vector<Reservation>& reserved, BootTime now);

}  // namespace buildwarden::policy
