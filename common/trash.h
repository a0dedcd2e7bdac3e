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

// The same by descriptors: the trash of the folder that `home` is one of, called `path` for people; and `name` in the
// folder `from` goes to the trash `trash`, which should be on the same mount. Whatever the error, it is where it was.
Result<UniqueFd> open_trash_in(int home, const std::string& path, bool make);
Result<std::string> throw_away_from(int from, const std::string& name, TreeIdentity identity, int trash);

}  // namespace buildwarden
