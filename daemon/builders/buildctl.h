// BuildKit's own client inside a builder's container: what it is told, and what it answers. Pure; text from anywhere is
// safe.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/units.h"
#include "daemon/policy/build_steps.h"
#include "daemon/policy/eviction_order.h"

namespace buildwarden::builders {

// All records of the cache as one JSON array.
std::vector<std::string> usage_command();

// Deletes those records that were unused for `unused_for`; a chain goes in one call, and what has other children or is
// in use is passed over in silence. One JSON object a line for each that went.
std::vector<std::string> prune_command(std::span<const std::string> ids, Duration unused_for);

// A build that leaves nothing but `reference` in the cache, downloaded and unpacked: BuildKit puts that off until a
// step reads the image, so one copies from it what matches no file. Needs a shell and mktemp, as moby/buildkit has
// them. Of a failure it says the last lines. kInvalid: empty, or with anything but visible ASCII characters.
Result<std::vector<std::string>> fetch_command(std::string_view reference);

// Deletes the records of finished builds that nobody pinned.
std::vector<std::string> forget_command();

// What the records of all finished builds tell of their steps, as lines of JSON. The records themselves, which hold the
// builds' attributes, are not shown: only their names are asked for. Needs a shell. One that cannot be shown is left
// out.
std::vector<std::string> steps_command();

// The steps that were carried out to their good end; of the lines nothing else is kept. A line that is none of a
// build's progress is passed over: a builder may be too old for it.
Result<std::vector<policy::BuildStep>> decode_steps(std::string_view text);

// kProtocol: not what the command promises. A list with one record that cannot be understood is an error as a whole. A
// record that was never used counts from its creation.
Result<std::vector<policy::CacheRecord>> decode_usage(std::string_view text);

struct Pruned {
  std::set<std::string> ids;
  Bytes bytes = 0;  // that were the cache's own; what is shared frees nothing
};
Result<Pruned> decode_pruned(std::string_view text);

}  // namespace buildwarden::builders
