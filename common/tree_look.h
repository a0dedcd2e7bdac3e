// What a folder and all below it amount to, without changing anything but times of access.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "common/result.h"
#include "common/time.h"
#include "common/tree_removal.h"
#include "common/units.h"

namespace buildwarden {

struct TreeLook {
  TreeIdentity identity;
  WallTime changed;  // the newest ctime: the kernel's own, and no program can set it back as it can mtime
  Bytes bytes = 0;   // on disk, of files without another name
  std::uint64_t entries = 0;
  bool complete = false;   // nothing was left out: by the limits, by `stop`, or because it could not be read
  bool has_mount = false;  // something is mounted in it
};

// `name` is a single component in the folder that `parent` is a descriptor of; links are not followed. At most `most`
// entries are looked at, and 128 folders deep: for a worker. Errors as remove_tree_in().
Result<TreeLook> look_through(int parent, const std::string& name, std::uint64_t most, const std::stop_token& stop);

}  // namespace buildwarden
