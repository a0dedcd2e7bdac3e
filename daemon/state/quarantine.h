// Files that cannot be used are kept for whoever wants to know why, beside where they were.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/result.h"
#include "common/time.h"
#include "daemon/ports/journal.h"

namespace buildwarden::state {

// Of the files of this room: they name jobs and their folders, which is nobody else's business.
inline constexpr mode_t kPrivateMode = 0600;

// Renames `path` to "<path>.damaged-<time>" and returns the new name.
Result<std::string> quarantine(const std::string& path, WallTime now);

// "state.set_aside": what was wrong with the file, and where it is now.
ports::Event quarantined_event(const std::string& path, const std::string& why, const Result<std::string>& moved);

// "state.unreadable": `what` ("The leases of earlier jobs") is not known now, and the file stays where it is.
ports::Event unreadable_event(std::string_view what, const Error& error);

}  // namespace buildwarden::state
