// Where the daemon would delete nothing, looked at from here: before it runs, or without asking it.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"

namespace buildwarden::cli {

// A line for each folder that these settings let the daemon delete in and that another user than root could exchange:
// which it is, why, and the cure. Folders that are not there yet say nothing. May block on a filesystem that hangs.
std::vector<std::string> undeletable_folders(const Settings& settings);

}  // namespace buildwarden::cli
