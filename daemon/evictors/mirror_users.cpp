#include "daemon/evictors/mirror_users.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "common/format.h"
#include "common/resolved_folder.h"
#include "daemon/evictors/borrowed_objects.h"
#include "daemon/evictors/checkout_scan.h"
#include "daemon/evictors/jobs_on_host.h"
#include "daemon/evictors/stoppable_work.h"

namespace buildwarden::disk {
namespace {

constexpr Duration kLookAtAllDeadline = std::chrono::minutes{1};

// A job that has not said where it works, or is not there yet; "" when all have.
std::string unsettled(const std::vector<policy::JobOnHost>& running, const std::set<std::string>& cloned) {
  for (const auto& job : running) {
    const auto is_settled = [&](const policy::JobOnHost& one) {
      return one.job == job.job && cloned.contains(one.checkout);
    };
    if (job.job.empty() || std::none_of(running.begin(), running.end(), is_settled)) return job.known_by;
  }
  return "";
}

}  // namespace

Result<ports::MirrorUses> MirrorUsers::look(const std::string& builds, const std::vector<policy::JobOnHost>& running,
                                            const std::stop_token& stop) {
  ports::MirrorUses uses;
  std::set<std::string> cloned;
  const auto home = resolve_folder(builds);
  if (!home && home.error().code() != Errc::kNotFound) return home.error();
  if (home) {
    const auto seen = look_for_checkouts(home->folder.get(), home->path);
    if (!seen) return seen.error();
    if (!seen->in_parts.empty()) return Error(Errc::kTooLarge, seen->in_parts.front());
    if (!seen->passed_over.empty()) return Error(Errc::kConflict, seen->passed_over);
    BorrowLook borrows(home->folder.get(), stop);
    for (const auto& found : seen->found) {
      const auto is_cloned = borrows.add(found.checkout);
      if (!is_cloned) return is_cloned.error();
      if (*is_cloned) cloned.insert(found.checkout.path);
    }
    uses.borrowed = std::move(borrows).borrowed();
  }
  if (const auto who = unsettled(running, cloned); !who.empty())
    uses.any_by = format("{}, which may clone from it", who);
  return uses;
}

ports::Async<ports::MirrorUses> MirrorUsers::mirror_uses() {
  auto running = co_await jobs_on_host(parts_.running_jobs, parts_.workers);
  if (!running) co_return std::move(running).error();
  std::function<Result<ports::MirrorUses>(const std::stop_token&)> work =
      [builds = parts_.settings.paths.builds, running = *std::move(running)](const std::stop_token& stop) {
        return look(builds, running, stop);
      };
  WorkLimits limits{kLookAtAllDeadline, stop_.get_token()};
  co_return co_await compute_stoppable<ports::MirrorUses>(parts_.workers, std::move(work), std::move(limits));
}

}  // namespace buildwarden::disk
