#include "daemon/disk/rules.h"

namespace buildwarden::disk {

policy::EvictionRules eviction_rules(const DiskSettings& settings, const policy::RungTurn& turn,
                                     const ports::InUse& in_use) {
  policy::EvictionRules rules;
  rules.age = turn.age;
  rules.grace = settings.grace;
  rules.keep = settings.keep;
  // Whose checkouts are in use is known of each; another agent's job has nothing to do with them.
  if (turn.rung != policy::RungId::kCheckouts) rules.oldest_job_start = in_use.now().oldest_job_start;
  return rules;
}

}  // namespace buildwarden::disk
