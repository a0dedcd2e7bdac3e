// The operator's cache folders, looked at and emptied: the part of rung 1 that blocks.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "common/deletion_root.h"
#include "common/tree_look.h"
#include "daemon/ports/disk.h"

namespace buildwarden::disk {

// One thing directly in a cache folder.
struct CacheEntry {
  std::shared_ptr<DeletionRoot> root;  // the folder
  std::string name;
  TreeLook look;
  std::string spared;  // why it is never touched; "" when there is no reason
  std::string user;    // who has it in use; "" when nobody has
  [[nodiscard]] std::string path() const { return root->path() + "/" + name; }
};

struct CachesSeen {
  std::vector<CacheEntry> entries;
  std::map<std::string, std::string> refused;  // by the folder as configured: why nothing in it may be deleted
};

// As a candidate called `name`, used when it was changed last by the filesystem's own stamp. Whether the clock can be
// trusted for that is asked before.
policy::Candidate entry_candidate(const CacheEntry& entry, std::string name, Now now);

// Stands for all that is in a folder where nothing may be deleted, so that a plan shows why.
policy::Candidate refused_candidate(std::string name, const std::string& why);

// `never`: paths that must stay, with what lies above and below them. Folders that are not there have nothing in them.
// For a worker, like all here. Errors: as folder_users(), and of a folder that cannot be read.
// With `wanted`: only what has a name that it takes.
Result<CachesSeen> look_at_caches(const std::vector<std::string>& folders, const std::vector<std::string>& never,
                                  const std::stop_token& stop,
                                  const std::function<bool(std::string_view)>& wanted = {});

// Why the entry must stay since it was looked at: it was changed, or is used; "" when nothing does. Errors: as
// folder_users().
Result<std::string> changed_since(const CacheEntry& entry, const std::stop_token& stop);

// Removes it from the trash, in which it is called `name` now.
Result<ports::EvictionResult> remove_thrown(const CacheEntry& entry, const std::string& name,
                                            const std::stop_token& stop);

// Throws the entry away and removes it, unless it is used or has changed since: then it is dropped.
Result<ports::EvictionResult> remove_cache(const CacheEntry& entry, const std::stop_token& stop);

}  // namespace buildwarden::disk
