// Deletion in two steps: out of the way in one rename, so that nobody meets half of it; then removed at leisure.
#pragma once

#include <string>

#include "common/result.h"
#include "common/tree_removal.h"
#include "common/unique_fd.h"

namespace buildwarden {

// In the folder whose things are thrown away, so on the same mount; ours alone (0700).
inline constexpr const char* kTrashName = ".buildwarden-trash";

// `parent`/.buildwarden-trash. kNotFound: there is none, and `make` is not set; kDenied: what is there is not a folder
// of our own that nobody else may enter, and nothing in it is ours to remove.
Result<UniqueFd> open_trash(const std::string& parent, bool make);

// Renames `name`, a single component in `parent`, into the trash there; the answer is its name in the trash. kConflict:
// it is not the one that `identity` says, and is where it was.
Result<std::string> throw_away(const std::string& parent, const std::string& name, TreeIdentity identity);

}  // namespace buildwarden
