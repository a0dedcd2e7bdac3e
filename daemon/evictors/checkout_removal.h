// A checkout's way out: away in one rename, then removed by several threads. All here blocks: for a worker.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "common/deletion_root.h"
#include "common/result.h"
#include "common/tree_removal.h"
#include "common/unique_fd.h"
#include "daemon/evictors/checkout_scan.h"

namespace buildwarden::disk {

// A checkout that is out of everybody's way, or one that has to be removed where it is.
struct Thrown {
  std::string left_alone;  // why it was; "" when it was not
  std::shared_ptr<DeletionRoot> builds;
  UniqueFd org;      // the folder that it is in yet, when it has to be removed there
  std::string name;  // there, or in the trash
  TreeIdentity identity;
  std::string in_place;  // why it is where it was; "" when it is in the trash
};

// Asks once more who uses it, then renames it into the trash of `builds`, each step relative to a folder that is held
// open, beneath `builds`, by no link and over no mount. In the trash nobody finds it any more, so whoever came in
// between is seen there: then it is put back. Left alone: it is in use, gone, or another one by now. What cannot be
// renamed (a trash that is not ours, another mount, a full disk, a flag, a mount inside) is removed where it is.
// Errors: nobody knows who uses it.
Result<Thrown> throw_away_checkout(const std::shared_ptr<DeletionRoot>& builds, const FoundCheckout& found);

// With as many threads as the machine has, two at least and four at most; whoever owns the files, immutable ones too.
Result<TreeRemoved> remove_thrown(const Thrown& thrown, std::stop_token stop);

}  // namespace buildwarden::disk
