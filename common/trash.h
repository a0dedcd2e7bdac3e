// Deletion in two steps: out of the way in one rename, so that nobody meets half of it; then removed at leisure. All by
// descriptors that are held: DeletionRoot has them.
#pragma once

#include <string>

#include "common/result.h"
#include "common/tree_removal.h"
#include "common/unique_fd.h"

namespace buildwarden {

// In the folder whose things are thrown away, so on the same mount; ours alone (0700).
inline constexpr const char* kTrashName = ".buildwarden-trash";

// The trash in the folder `home`, which is called `path` for people: a folder of our own that nobody else may enter, on
// the mount of `home`. With `make` it is made where there is none. kNotFound: there is none; kDenied: what has its name
// is something else, and nothing in it is ours to remove.
Result<UniqueFd> open_trash(int home, const std::string& path, bool make);

// What is thrown away: `name`, a single component in the folder `from`. Its name in the trash ends with `label`.
struct ToThrowAway {
  int from = -1;
  std::string name;
  TreeIdentity identity;
  std::string label{};
};

// Renames it into the trash `trash`; the answer is its name there. kConflict: it is not the one that `identity` says.
// kIo: another mount, a full disk, a flag forbids it. Whatever the error, it is where it was.
Result<std::string> throw_away(const ToThrowAway& what, int trash);

}  // namespace buildwarden
