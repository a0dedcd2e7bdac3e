// One start_job on its way.
#pragma once

#include "daemon/jobs/desk.h"

namespace buildwarden::jobs {

struct Desk::Turn {
  ports::JobRequest request;
  ports::Peer peer;
  ports::Progress progress;
  ports::Lease lease;
};

}  // namespace buildwarden::jobs
