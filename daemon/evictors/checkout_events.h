// What the journal is told of checkouts that stay.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/tree_removal.h"
#include "daemon/policy/checkouts.h"
#include "daemon/policy/eviction_order.h"
#include "daemon/ports/journal.h"

namespace buildwarden::disk {

// Which folders hold more than one look sees; `in_parts` is not empty.
ports::Event in_parts_event(const std::vector<std::string>& in_parts);

// Which are in use and by whom; nothing when none is.
std::optional<ports::Event> kept_event(const std::vector<policy::Candidate>& candidates);

// What of a checkout could not be removed: mounts, mostly. `in_place`: why it was not renamed; "" when it was.
ports::Event left_event(const policy::Checkout& checkout, const TreeRemoved& removed, const std::string& in_place);

}  // namespace buildwarden::disk
