// The agent's git mirrors, looked at and removed: the part that blocks, for a worker.
#pragma once

#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "common/folder_users.h"
#include "common/result.h"
#include "daemon/evictors/cache_dir_scan.h"
#include "daemon/ports/mirror_uses.h"

namespace buildwarden::disk {

// As folder_users(): each call of it looks at every process.
using FolderUsers = std::function<Result<std::map<std::string, std::string>>(const std::vector<std::string>&)>;
inline const FolderUsers kFolderUsers = [](const std::vector<std::string>& folders) { return folder_users(folders); };

// The mirrors directly in that folder: bare repositories with a name as the agent gives them. An entry's `user` is who
// has it open, or holds one of the agent's locks on it; `look.changed` is its last fetch, or what else changed it.
// Errors as look_at_caches(), and kCancelled.
Result<CachesSeen> look_at_mirrors(const std::string& folder, const std::stop_token& stop,
                                   const FolderUsers& users = kFolderUsers);

// By the mirror's path who holds one of the agent's locks on it, for people; one look at the processes for all of them.
Result<std::map<std::string, std::string>> lock_holders(const std::vector<CacheEntry>& mirrors,
                                                        const FolderUsers& users = kFolderUsers);

// Who holds one of the agent's locks on the mirror, or uses what lies at `path`, where it is now; "" nobody. One look
// at the processes.
Result<std::string> mirror_user(const CacheEntry& mirror, const std::string& path);

// Who needs the mirror of that name; "" when nobody does.
std::string needed_by(const std::string& mirror, const ports::MirrorUses& uses);

}  // namespace buildwarden::disk
