// Which jobs the agent's processes belong to: what the kernel knows, whether or not anybody asked for admission.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/time.h"

namespace buildwarden::jobs {

struct AgentOnHost {
  std::string unit;           // "buildkite-agent.service"; "" = none
  std::optional<uid_t> user;  // nothing: this machine does not know it
};

struct JobProcess {
  pid_t pid = 0;
  std::string job;       // BUILDKITE_JOB_ID; "" when it has none
  std::string agent;     // BUILDKITE_AGENT_NAME; the same
  std::string checkout;  // BUILDKITE_BUILD_CHECKOUT_PATH; the same
  WallTime since{};      // its start, or that of an older one with the same three
};

// One process for each job, agent and checkout that processes of the agent carry in their environment: those in the
// control group of its unit (any hierarchy, any slice, nested ones too), and where that has none, as without systemd,
// those of its user. The agent itself is no job, and neither is what a job left behind: a process that carries a job's
// id, was handed to init, and is not the agent's program. For a worker. An error: a process could not be looked at.
Result<std::vector<JobProcess>> agent_processes(const AgentOnHost& agent, Now now, const std::string& proc = "/proc");

}  // namespace buildwarden::jobs
