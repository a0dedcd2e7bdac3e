#include "daemon/policy/leases.h"

#include "common/format.h"

namespace buildwarden::policy {

std::string why_no_place(std::uint32_t uid, const LeaseCounts& known) {
  if (known.all >= kMostLeases) return format("{} jobs are known already, which is the most", known.all);
  if (uid == 0) return {};
  if (known.of_user >= kLeasesOfUser) {
    return format("user {} has {} jobs already, which is the most of one user", uid, known.of_user);
  }
  if (known.all >= kMostLeases - kLeasesForRoot) {
    return format("{} jobs are known already, and the last {} places are root's", known.all, kLeasesForRoot);
  }
  return {};
}

bool protects(const LeaseLife& lease, BootTime looked, BootTime now) {
  if (lease.has_process) return true;
  const auto until = lease.alive + kProtectsUnproven;
  return now < until || looked < until;
}

}  // namespace buildwarden::policy
