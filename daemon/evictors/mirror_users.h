// Who needs the agent's git mirrors: the checkouts that there are, and jobs that have none yet.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "common/worker.h"
#include "config/settings.h"
#include "daemon/policy/checkouts.h"
#include "daemon/ports/mirror_uses.h"
#include "daemon/ports/running_jobs.h"

namespace buildwarden::disk {

// Every checkout counts, idle ones too: one whose mirror is gone is broken, and its next job begins with an error. A
// running job whose checkout is not cloned yet, or not known, is about to clone from any of them. What cannot be looked
// at (a link or a mount where a checkout may be, more than BorrowLimits) makes it unknown who needs one.
class MirrorUsers final : public ports::MirrorUsers {
 public:
  struct Parts {
    const Settings& settings;
    WorkerPool& workers;
    ports::RunningJobs& running_jobs;
  };
  explicit MirrorUsers(Parts parts) : parts_(parts) {}

  ports::Async<ports::MirrorUses> mirror_uses() override;
  // A look that runs ends within moments, as one does whose deadline is over.
  void stop() { stop_.request_stop(); }

 private:
  static Result<ports::MirrorUses> look(const std::string& builds, const std::vector<policy::JobOnHost>& running,
                                        const std::stop_token& stop);

  Parts parts_;
  std::stop_source stop_;
};

}  // namespace buildwarden::disk
