#include "daemon/policy/eviction_rules.h"

namespace buildwarden::policy {

EvictionRules eviction_rules(const DiskSettings& settings, const RungTurn& turn,
                             std::optional<WallTime> oldest_job_start) {
  EvictionRules rules;
  rules.age = turn.age;
  rules.grace = settings.grace;
  rules.keep = settings.keep;
  rules.by_value = settings.rank_by == RankBy::kValue;
  // Whose checkouts are in use is known of each; another agent's job has nothing to do with them.
  if (turn.rung != RungId::kCheckouts) rules.oldest_job_start = oldest_job_start;
  return rules;
}

}  // namespace buildwarden::policy
