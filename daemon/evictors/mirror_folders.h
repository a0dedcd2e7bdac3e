// The agent's git mirrors, looked at and removed: the part that blocks, for a worker.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/evictors/cache_dir_scan.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/mirror_uses.h"

namespace buildwarden::disk {

// The mirrors directly in that folder: bare repositories with a name as the agent gives them. An entry's `user` is who
// has it open, or holds one of the agent's locks on it; `look.changed` is its last fetch, or what else changed it.
// Errors as look_at_caches().
Result<CachesSeen> look_at_mirrors(const std::string& folder, const std::stop_token& stop);

// Who needs the mirror of that name; "" when nobody does.
std::string needed_by(const std::string& mirror, const ports::MirrorUses& uses);

// Throws it away and removes it, unless somebody has it in use, or it has changed: then it is dropped. Whoever came in
// between is seen in the trash, and it is put back.
Result<ports::EvictionResult> remove_mirror(const CacheEntry& entry, const std::stop_token& stop);

}  // namespace buildwarden::disk
