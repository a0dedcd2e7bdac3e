// Executes the platforms' programs in an empty folder. A program mode of its own, since the daemon's own unit may
// neither change its root nor run every machine's code.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "daemon/policy/emulation.h"

namespace buildwarden::emulation {

// The subcommand that leads to launch(); not for people.
inline constexpr std::string_view kLauncherCommand = "prove-platforms";

// Writes the programs of `names` into a new folder, and runs them all at once with that folder as their root, where
// there is nothing else: an interpreter that the kernel has not opened itself cannot be found there. The first line is
// of the host's own program, the control: "control exit 135"; then for each "linux/arm64 exit 137", "… signal 11",
// "… error No such file or directory", "… timeout". The exit code of the process: 0, or 1 with a sentence on stderr.
int launch(const std::vector<std::string>& names);

// What those lines mean. Without a control that ran nothing is known of any.
std::map<std::string, policy::Proof> read_proofs(std::string_view lines, const std::vector<std::string>& names);

}  // namespace buildwarden::emulation
