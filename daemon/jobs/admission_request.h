// One start_job on its way.
#pragma once

#include "daemon/jobs/admission_controller.h"

namespace buildwarden::jobs {

struct AdmissionController::Request {
  ports::JobRequest request;
  ports::Peer peer;
  ports::Progress progress;
  ports::Lease lease;
  std::string note;           // of the platforms that it builds for; "" when they run
  std::string images_failed;  // of the last try to make room
  [[nodiscard]] policy::JobNeed need() const { return {.bytes = request.need_bytes, .uid = peer.uid}; }
};

}  // namespace buildwarden::jobs
