// Which jobs run: by the leases and by the agent's processes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/loop_timer.h"
#include "common/worker.h"
#include "daemon/jobs/agent_processes.h"
#include "daemon/jobs/lease_registry.h"
#include "daemon/ports/running_jobs.h"

namespace buildwarden::jobs {

// A lease that does not say its agent or its checkout is completed from the processes that carry its id. Processes of a
// job without a lease: one that says the agent alone, since nobody knows which of its checkouts it has, and one more
// with the checkout that they name.
std::vector<ports::RunningJob> running_jobs(const std::vector<ports::Lease>& leases,
                                            const std::vector<JobProcess>& processes, const std::string& unit);

class RunningJobs final : public ports::RunningJobs {
 public:
  // All of them outlive it.
  struct Parts {
    LeaseRegistry& registry;
    WorkerPool& workers;
    const Clock& clock;
    std::function<AgentOnHost()> agent;  // as it is configured now
    std::string proc = "/proc";
  };
  explicit RunningJobs(Parts parts) : parts_(std::move(parts)) {}

  ports::Async<std::vector<ports::RunningJob>> running() override;

  // While there are leases without a process, all processes are looked at now and then, so that the registry knows
  // which of those jobs live. Until stop().
  boost::asio::awaitable<void> run() { return loop_timer_.run(keep_looking()); }
  void stop() { loop_timer_.stop(); }

 private:
  boost::asio::awaitable<void> keep_looking();

  Parts parts_;
  LoopTimer loop_timer_;
};

}  // namespace buildwarden::jobs
