#include "daemon/jobs/running_jobs.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/format.h"

namespace buildwarden::jobs {
namespace {

constexpr Duration kDeadline = std::chrono::seconds{30};
constexpr Duration kLookForUnproven = std::chrono::minutes{1};

ports::RunningJob of_lease(const ports::Lease& lease, const std::vector<JobProcess>& processes) {
  ports::RunningJob job;
  job.agent = lease.agent;
  job.checkout = lease.checkout_path;
  job.known_by = format("lease {}", lease.id);
  job.job = lease.id;
  for (const auto& process : processes) {
    if (process.job != lease.id) continue;
    if (job.agent.empty()) job.agent = process.agent;
    if (job.checkout.empty()) job.checkout = process.checkout;
    job.since = std::min(job.since.value_or(process.since), process.since);
  }
  return job;
}

}  // namespace

std::vector<ports::RunningJob> running_jobs(const std::vector<ports::Lease>& leases,
                                            const std::vector<JobProcess>& processes, const std::string& unit) {
  std::vector<ports::RunningJob> running;
  for (const auto& lease : leases) running.push_back(of_lease(lease, processes));
  for (const auto& process : processes) {
    const auto leased = std::find_if(leases.begin(), leases.end(), [&process](const ports::Lease& lease) {
      return !process.job.empty() && lease.id == process.job;
    });
    ports::RunningJob job;
    job.agent = process.agent;
    job.job = process.job;
    job.since = process.since;
    job.known_by = unit.empty() ? format("process {}", process.pid) : format("process {} of {}", process.pid, unit);
    if (leased == leases.end()) running.push_back(job);
    job.checkout = process.checkout;
    if (!job.checkout.empty()) running.push_back(std::move(job));
  }
  return running;
}

ports::Async<std::vector<ports::RunningJob>> RunningJobs::running() {
  const auto agent = parts_.agent();
  const auto now = parts_.clock.now();
  std::function<Result<std::vector<JobProcess>>()> work = [agent, now, proc = parts_.proc] {
    return agent_processes(agent, now, proc);
  };
  auto processes = co_await parts_.workers.compute<std::vector<JobProcess>>(std::move(work), kDeadline);
  if (!processes) co_return std::move(processes).error().with_context("which jobs run is not known");
  std::set<std::string> seen;
  for (const auto& process : *processes) {
    if (!process.job.empty()) seen.insert(process.job);
  }
  parts_.registry.note_processes(seen, now.boot);
  // The leases after the processes: a job that registers in between is known by one or the other.
  co_return running_jobs(parts_.registry.protecting(), *processes, agent.unit);
}

// What cannot be looked at proves nothing, and nobody is taken for dead by it.
boost::asio::awaitable<void> RunningJobs::keep_looking() {
  while (!loop_timer_.stopped()) {
    co_await loop_timer_.sleep_for(kLookForUnproven);
    if (loop_timer_.stopped() || !parts_.registry.has_unproven()) continue;
    static_cast<void>(co_await running());
  }
}

}  // namespace buildwarden::jobs
