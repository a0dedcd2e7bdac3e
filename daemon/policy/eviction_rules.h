// What every rung spares in one turn of the ladder.
#pragma once

#include <optional>

#include "common/time.h"
#include "config/settings.h"
#include "daemon/policy/ladder.h"

namespace buildwarden::policy {

// The turn's age, the configured grace and keep list, and what the oldest running job may have used.
EvictionRules eviction_rules(const DiskSettings& settings, const RungTurn& turn,
                             std::optional<WallTime> oldest_job_start);

}  // namespace buildwarden::policy
