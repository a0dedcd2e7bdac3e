// The kernel's table of handlers: read, written to, mounted.
#pragma once

#include <string>

#include "common/result.h"
#include "daemon/policy/emulation.h"

namespace buildwarden::emulation {

// The names of our entries begin so; no others are ever written to.
inline constexpr const char* kOwnPrefix = "buildwarden-";

// All entries of the mounted folder, by name; `trouble` says why there are none to see. Some ten small files that the
// kernel makes from memory: microseconds.
policy::ObservedEmulation read_entries(const std::string& folder);

// kInvalid: the kernel refuses it (with F it opens the interpreter: kNotFound, kDenied); kConflict: the name is taken.
Result<void> register_entry(const std::string& folder, const policy::BinfmtEntry& entry);

// kInvalid: it is not ours. One that is not there is fine.
Result<void> unregister_entry(const std::string& folder, const std::string& name);

// Mounts it where it is not: by systemd's own unit where we are a service of it, else ourselves. For a worker.
// kDenied: that needs CAP_SYS_ADMIN.
Result<void> mount_table(const std::string& folder);

}  // namespace buildwarden::emulation
