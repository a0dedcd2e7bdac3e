// Which objects of others the checkouts read.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/evictors/checkout_scan.h"
#include "daemon/ports/mirror_uses.h"

namespace buildwarden::disk {

// The lines of objects/info/alternates of a checkout's .git and of its submodules, at most eight folders deep below
// .git/modules. Beneath `home`, by no link and over no mount; regular files alone, without waiting. For a worker.
// kTooLarge: there is more than is looked at, so nobody knows.
Result<std::vector<ports::BorrowedObjects>> borrowed_objects(int home, const FoundCheckout& found);

// Whether it is far enough that what it borrows stands in it: its .git has a HEAD.
bool is_cloned(int home, const FoundCheckout& found);

}  // namespace buildwarden::disk
