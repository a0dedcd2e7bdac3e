// The QEMU programs that the host has.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "daemon/emulation/platform.h"
#include "daemon/policy/emulation.h"

namespace buildwarden::emulation {

// Whether the ELF program at `path` needs no loader: with F the kernel opens the interpreter alone, and its libraries
// are not there in a container. kProtocol: no ELF program.
Result<bool> is_static(const std::string& path);

// The first static QEMU for `platform` below `folders`; kNotFound says what was looked for and found unfit.
Result<std::string> find_host_qemu(const Platform& platform,
                                   const std::vector<std::string>& folders = {"/usr/bin", "/usr/local/bin",
                                                                              "/usr/libexec/qemu-binfmt"});

// What is needed for each of `names` on this host; one that is not known has no entry, and says so.
std::vector<policy::DesiredPlatform> desired_platforms(const std::vector<std::string>& names);

// Those of `all`.
std::vector<std::string> all_names();

}  // namespace buildwarden::emulation
