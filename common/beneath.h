// Opening what lies below a folder that is held open, and nothing else: no link is followed, no mount is crossed.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/result.h"
#include "common/unique_fd.h"

namespace buildwarden {

// `name` is one component: not empty, "." or "..", without a slash. kInvalid otherwise.
Result<void> check_component(const std::string& name);

// openat2(2), Linux 5.6, with RESOLVE_BENEATH, NO_SYMLINKS, NO_MAGICLINKS and NO_XDEV. The answer: a descriptor, or one
// that is not open with errno set: EXDEV is a mount point (bind mounts too), ELOOP a link, ENOTDIR with O_DIRECTORY
// something else.
UniqueFd open_beneath(int folder, const char* name, int flags);

// A folder by its path, links as anybody would follow them: for paths that the operator wrote.
Result<UniqueFd> open_folder(const std::string& path);

}  // namespace buildwarden
