// Where a ballast lies: a folder that is ours alone, opened so that nobody can lead us elsewhere.
#pragma once

#include <optional>
#include <string>

#include "common/unique_fd.h"
#include "daemon/ballast/ballast_file.h"

namespace buildwarden::disk {

inline constexpr const char* kBallastName = "ballast";

struct BallastHome {
  std::string path;  // of the ballast
  UniqueFd shared;   // the folder that has the hidden one; not open where the place is ours
  UniqueFd folder;   // nobody else can change what is in it
  UniqueFd file;     // open for writing when there is a ballast
  Bytes size = 0;    // of the ballast, 0 without one
};

// Nothing when the place is not there or lies on another filesystem. kMake makes the hidden folder of a shared place.
// kConflict: the folder or what is called like the ballast is not ours, or a link that is not root's leads there.
Result<std::optional<BallastHome>> open_ballast_home(const BallastPlace& place, const BallastWork& work);

// The blocks that are really there.
Result<Bytes> ballast_blocks(int file);
// Marks a new file as ours.
Result<void> mark_ballast(int file);
// The hidden folder of a shared place, when it is empty.
void remove_hidden_folder(const BallastHome& home);

}  // namespace buildwarden::disk
