// What no key can tell alone.
#pragma once

#include <vector>

#include "config/merge.h"

namespace buildwarden::config {

// Checks the merged settings: thresholds of one unit in order, builders' names distinct, caches complete, sockets'
// paths short enough. What only the operator's own sources (YAML, command line, defaults) cause is returned as
// mistakes; what an env file has a part in becomes a warning, so that it never stops the start. Keys that `known` names
// already are passed over. A default grace gives way to a shorter keep_used_within of an env file.
std::vector<Mistake> check(Merge& merge, const std::vector<Mistake>& known);

}  // namespace buildwarden::config
