// Which processes have something of a folder in use: what the kernel knows of them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/result.h"

namespace buildwarden {

// For each of the folders (absolute, without links) that is used: by whom, for people. Used is: a process has its
// working folder, its root, its program, an open or a mapped file there or below; or another mount namespace (a
// container) has it, something of it or something around it mounted, which the host itself has not mounted in the same
// place.
// Reads all of `proc` and may take long: for a worker. kDenied: not every process may be looked at, so nobody knows
// (of init alone that is no matter: some kernels hide it, and it works in no cache); kTooLarge: more than two million
// links.
Result<std::map<std::string, std::string>> folder_users(const std::vector<std::string>& folders,
                                                        const std::string& proc = "/proc");

}  // namespace buildwarden
