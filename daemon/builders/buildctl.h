// BuildKit's own client inside a builder's container: what it is told, and what it answers. Pure; text from anywhere is
// safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/units.h"
#include "daemon/policy/candidate.h"

namespace buildwarden::builders {

// All records of the cache as one JSON array.
std::vector<std::string> usage_command();

// Deletes records unused for `unused_for` and not in use, least recently used first, until at most `keep` bytes are
// left; one JSON object a line for each. --keep-storage is called so in every version: the bound was KeepBytes up to
// 0.16 and is MaxUsedSpace since, and both alone mean "least recently used down to so much".
std::vector<std::string> prune_command(Bytes keep, Duration unused_for);

// A build that leaves nothing but `reference` in the cache, downloaded and unpacked: BuildKit puts that off until a
// step reads the image, so one copies from it what matches no file. Needs a shell and mktemp, as moby/buildkit has
// them. Of a failure it says the last lines. kInvalid: empty, or with anything but visible ASCII characters.
Result<std::vector<std::string>> fetch_command(std::string_view reference);

// Deletes the records of finished builds that nobody pinned.
std::vector<std::string> forget_command();

// kProtocol: not what the command promises. A list with one record that cannot be understood is an error as a whole. A
// record that was never used counts from its creation.
Result<std::vector<policy::CacheRecord>> decode_usage(std::string_view text);

// The bytes that were its own; what is shared frees nothing.
Result<Bytes> decode_pruned(std::string_view text);

}  // namespace buildwarden::builders
