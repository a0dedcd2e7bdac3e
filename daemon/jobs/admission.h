// The disk and the leases in the words of the admission policy. Pure.
#pragma once

#include <string>
#include <vector>

#include "daemon/policy/admission.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/jobs.h"

namespace buildwarden::jobs {

// The filesystems that gate jobs; one that was not measured is of level unknown.
std::vector<ports::FilesystemSnapshot> gating(const ports::DiskView& disk);
std::vector<policy::GateFilesystem> gates_of(const std::vector<ports::FilesystemSnapshot>& filesystems);

// The least free bytes of those that were measured; 0 when none was.
Bytes least_free(const std::vector<ports::FilesystemSnapshot>& filesystems);

// What was promised to the job of that lease.
policy::Reservation reservation_of(const ports::Lease& lease);

// The biggest users of the filesystem mounted at `mount`, biggest first; what nobody is known to use is one of them, of
// the kind "unattributed".
std::vector<ports::DiskUser> biggest_users(const std::vector<ports::FilesystemSnapshot>& filesystems,
                                           const std::string& mount);

}  // namespace buildwarden::jobs
