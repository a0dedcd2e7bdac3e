// A checkout's way out: away in one rename, then removed by several threads. All here blocks: for a worker.
#pragma once

#include <stop_token>
#include <string>

#include "common/result.h"
#include "common/tree_removal.h"
#include "common/unique_fd.h"
#include "daemon/checkouts/look.h"

namespace buildwarden::checkouts {

// A checkout that is out of everybody's way, or one that has to be removed where it is.
struct Thrown {
  std::string left_alone;  // why it was; "" when it was not
  UniqueFd folder;         // that it is in now
  std::string name;        // there
  TreeIdentity identity;
  std::string in_place;  // why it is where it was; "" when it is not
};

// Asks once more who uses it, then renames it into `builds`/.buildwarden-trash, each step relative to a folder that is
// held open, beneath `builds`, by no link and over no mount. In the trash nobody finds it any more, so whoever came in
// between is seen there: then it is put back. Left alone: it is in use, gone, or another one by now. What cannot be
// renamed (another mount, a full disk, a flag, a mount inside) is removed where it is. Errors: `builds` cannot be
// opened, or nobody knows who uses it.
Result<Thrown> throw_away_checkout(const std::string& builds, const Found& found);

// With as many threads as the machine has, two at least and four at most; whoever owns the files, immutable ones too.
Result<TreeRemoved> remove_thrown(const Thrown& thrown, std::stop_token stop);

}  // namespace buildwarden::checkouts
