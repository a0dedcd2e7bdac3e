#include "daemon/evictors/jobs_on_host.h"

#include <functional>
#include <memory>
#include <utility>

#include "daemon/evictors/checkout_scan.h"

namespace buildwarden::disk {
namespace {

constexpr Duration kResolveDeadline = std::chrono::minutes{1};

}  // namespace

ports::Async<std::vector<policy::JobOnHost>> jobs_on_host(ports::RunningJobs& running_jobs, WorkerPool& workers) {
  auto known = co_await running_jobs.running();
  if (!known) co_return std::move(known).error();
  auto named = std::make_shared<std::vector<ports::RunningJob>>(*std::move(known));
  std::function<Result<std::vector<policy::JobOnHost>>()> work = [named] {
    std::vector<policy::JobOnHost> jobs;
    for (const auto& job : *named) {
      jobs.push_back({job.job, job.agent, without_links(job.checkout), job.known_by, job.since});
    }
    return Result<std::vector<policy::JobOnHost>>(std::move(jobs));
  };
  co_return co_await workers.compute<std::vector<policy::JobOnHost>>(std::move(work), kResolveDeadline);
}

}  // namespace buildwarden::disk
