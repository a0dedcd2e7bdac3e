// The seeds' own process: what talks to the location, packs and unpacks. A mode of this program, since the daemon's own
// unit has no network and may not set all attributes.
#pragma once

#include <string_view>

namespace buildwarden::seeds {

// The subcommand that leads to work(); not for people.
inline constexpr std::string_view kSeedCommand = "work-on-seed";

// Reads an order from standard input, carries it out, and writes lines of progress and then the answer (order.h). It
// ends at once when nobody reads its output any more, and what it started ends with it. The exit code: 0, or 1 where
// the answer is an error.
int work();

}  // namespace buildwarden::seeds
