// Jobs that are at their end: what their checkouts hold goes once they have ended.
#pragma once

#include <string>

#include "daemon/ports/engine.h"

namespace buildwarden::ports {

struct RoomAtEnd {
  bool enough = false;  // no filesystem that gates jobs would be below its critical marks then
  std::string reason;   // one sentence
};

class EndingJobs {
 public:
  virtual ~EndingJobs() = default;
  // Whether there would be room without the checkouts that this job alone keeps, which then go when it has ended. A
  // size that nobody could find out in time counts as enough: unknown is no reason to fail a job. Errors: which jobs
  // run, or which checkouts there are, is not known.
  virtual Async<RoomAtEnd> give_up(std::string job) = 0;
};

}  // namespace buildwarden::ports
