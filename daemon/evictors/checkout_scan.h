// The checkouts that there are, and who has them open. All here blocks: for a worker.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/tree_removal.h"
#include "common/unique_fd.h"
#include "daemon/policy/checkouts.h"

namespace buildwarden::disk {

struct FoundCheckout {
  policy::Checkout checkout;
  TreeIdentity identity;
  std::string used_by;     // which of its stamps is the newest: "the folder itself", ".git/index", …
  bool has_mount = false;  // something is mounted in it
  std::uint64_t jobs = 0;  // that ended in it, as far as they are known
  WallTime first_job{};    // the end of the first of them
};

struct CheckoutsSeen {
  std::vector<FoundCheckout> found;
  std::vector<std::string> in_parts;  // which folders have more in them than is looked at at a time, for people
  std::string passed_over;  // a link, a mount or what cannot be opened where a checkout may be, for people; "" = none
};

// Folders exactly three levels below the folder `home`, which is called `builds` without links, all three of its
// filesystem and mount; nothing hidden, no links. A checkout was
// last used when it, its .git's index, HEAD or FETCH_HEAD changed, by the kernel's own stamp: programs can set the
// other ones back. At most 100,000, and 10,000 entries of a folder, any ones; each agent and organization has its share
// of them.
Result<CheckoutsSeen> look_for_checkouts(int home, const std::string& builds);

// The folder <agent>/<org> of the checkout, opened beneath `home`; not open when it is not there, or leads elsewhere.
UniqueFd open_org(int home, const policy::Checkout& checkout);

// By path who has something open, mapped or mounted in it, for people. Errors as folder_users(): then all are in use.
Result<std::map<std::string, std::string>> users_of(const std::vector<FoundCheckout>& checkouts);

// The path without the links that can be resolved, and without a slash at its end; "" stays.
std::string without_links(const std::string& path);

}  // namespace buildwarden::disk
