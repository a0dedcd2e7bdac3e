// The flags of a file that forbid its deletion, root's too: immutable and append-only (ioctl_iflags(2)).
#pragma once

#include <string>

namespace buildwarden {

// Takes them from what is open, where the filesystem has such flags. Whether they were there and are gone.
bool clear_protection(int descriptor);

// The same of `name` in `folder`, links not followed. A file that has another name is left as it is: that may lie
// elsewhere. Devices, pipes and sockets are never opened.
bool clear_protection_of(int folder, const std::string& name);

}  // namespace buildwarden
