// Which jobs run on this host, registered or not: a job may have started while the daemon was down.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/time.h"
#include "daemon/ports/engine.h"

namespace buildwarden::ports {

struct RunningJob {
  std::string agent;     // its BUILDKITE_AGENT_NAME, or what its lease says; "" when nobody said
  std::string checkout;  // absolute; "" when unknown: then every checkout of that agent is busy
  std::string known_by;  // "lease 12", "process 4711 of buildkite-agent.service"
  std::string job{};     // its id: its BUILDKITE_JOB_ID, or its lease's; "" when nobody said
  // The start of the first of its processes that is known, by the wall clock of now.
  std::optional<WallTime> since{};
};

class RunningJobs {
 public:
  virtual ~RunningJobs() = default;
  // From the leases and from the processes of the agent's unit, looked up anew on a worker. Every job of both; one that
  // is known by both ways may come twice. An error (a process that cannot be read): nobody may be taken for idle.
  virtual Async<std::vector<RunningJob>> running() = 0;
};

// A job that was known and is over: the last use of its checkout, where no stamp on the disk tells it.
struct EndedJob {
  std::string job;
  std::string checkout;  // as the job named it
  WallTime ended;
  std::uint64_t jobs = 1;  // that ended in this checkout, this one included, as far as they are remembered
  WallTime first_ended{};  // of the first of them; nothing: of this one
};

class EndedJobs {
 public:
  virtual ~EndedJobs() = default;
  // The last job of each checkout, of the last 1,000 since the daemon's start.
  [[nodiscard]] virtual std::vector<EndedJob> ended_jobs() const = 0;
};

}  // namespace buildwarden::ports
