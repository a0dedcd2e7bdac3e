// What every rung spares in one turn of the ladder.
#pragma once

#include "config/settings.h"
#include "daemon/policy/ladder.h"
#include "daemon/ports/disk.h"

namespace buildwarden::disk {

// The turn's age, the configured grace and keep list, and what the oldest running job may have used.
policy::EvictionRules eviction_rules(const DiskSettings& settings, const policy::RungTurn& turn,
                                     const ports::InUse& in_use);

}  // namespace buildwarden::disk
