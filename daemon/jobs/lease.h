// From a request and its peer to a lease and a grant.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "config/settings.h"
#include "daemon/jobs/processes.h"
#include "daemon/ports/jobs.h"

namespace buildwarden::jobs {

// May this peer change a job of `owner`? Root, and who started it.
[[nodiscard]] inline bool may_change(const ports::Peer& peer, uid_t owner) {
  return peer.local && (peer.uid == 0 || peer.uid == owner);
}

// The lease but for its times and `free_at_start`. kInvalid: no process of that pid; kDenied: it is another user's
// (root may name any).
Result<ports::Lease> lease_of(const ports::JobRequest& request, const ports::Peer& peer, const Processes& processes);

// Gives `lease` the process that the request names, if it names one. Errors as above.
Result<void> take_pid(ports::Lease& lease, const ports::JobRequest& request, const ports::Peer& peer,
                      const Processes& processes);

// The builders that a lease on this request holds: those it names and the one it uses; empty = all.
// The fields of the request by which it is another job than the one that runs; what is left out is as it was.
std::vector<std::string> differing_fields(const ports::JobRequest& request, const ports::Lease& lease);

std::vector<std::string> held_builders(const ports::JobRequest& request);

ports::GrantRequest grant_of(const ports::JobRequest& request, const JobSettings& settings);

}  // namespace buildwarden::jobs
