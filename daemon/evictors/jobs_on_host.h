// The running jobs with their checkouts' paths as the kernel would spell them.
#pragma once

#include <vector>

#include "common/worker.h"
#include "daemon/policy/checkouts.h"
#include "daemon/ports/running_jobs.h"

namespace buildwarden::disk {

// Asks `running_jobs`, and resolves the links in what it names on a worker. An error: nobody may be taken for idle.
ports::Async<std::vector<policy::JobOnHost>> jobs_on_host(ports::RunningJobs& running_jobs, WorkerPool& workers);

}  // namespace buildwarden::disk
