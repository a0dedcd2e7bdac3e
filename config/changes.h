// What a reload changes: which keys differ, which of them count at once, and which only after a restart.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/load.h"

namespace buildwarden::config {

// One key that has another value than the one in force.
struct Change {
  std::string key;
  std::string before;  // "disk.min_free" 's "5GiB (default)"; "" for a key that was not there (a builder that is new)
  std::string after;   // the same; "" for one that is there no more
  bool needs_restart = false;
};

// Sockets, folders, identities and the engine's address are opened once: they count from the next start on. Where the
// weaker sources are (paths.cfn_env and the like) counts at once.
bool needs_restart(std::string_view key);

// What `fresh` would change of what is in force, in the order of the schema; last what no value shows (secrets, the
// text of a builder's own file). A value that only comes from elsewhere now is no change, nor is one that waits for a
// restart already.
std::vector<Change> compare(const Loaded& in_force, const Loaded& fresh);

// Takes over from `fresh` all that counts at once. A key that needs a restart keeps its value and its source; where
// `fresh` has another value it is told in EffectiveValue::after_restart.
void adopt(Loaded& in_force, Loaded fresh);

// The files that were read, or would have been, by absolute paths: the YAML, the weaker sources, the builders' own
// buildkitd.toml.
std::vector<std::string> files_of(const LoadRequest& request, const Settings& settings);

}  // namespace buildwarden::config
