// How many jobs may be known, and for how long one without a process keeps others from deleting. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "common/time.h"

namespace buildwarden::policy {

// Of all users together.
inline constexpr std::size_t kMostLeases = 256;
// So many places only root's jobs may take.
inline constexpr std::size_t kLeasesForRoot = 32;
// Of one user other than root.
inline constexpr std::size_t kLeasesOfUser = 128;

struct LeaseCounts {
  std::size_t all = 0;
  std::size_t of_user = 0;  // of the one who asks
};
// Why one more is not admitted, in one sentence; "": there is a place.
std::string why_no_place(std::uint32_t uid, const LeaseCounts& known);

// For so long a lease protects what its job may use, after the job was last known to live: it was started or renewed,
// or a process of it was seen.
inline constexpr Duration kProtectsUnproven = std::chrono::minutes{15};

struct LeaseLife {
  bool has_process = false;  // that is held, and alive
  BootTime alive;            // when it was last known to live
};
// `looked`: when all processes were last looked at for those of jobs. Nobody is taken for dead before that was done
// after the time was over: unknown is no licence.
bool protects(const LeaseLife& lease, BootTime looked, BootTime now);

}  // namespace buildwarden::policy
