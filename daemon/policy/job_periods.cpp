#include "daemon/policy/job_periods.h"

#include <algorithm>

namespace buildwarden::policy {
namespace {

bool is_within(const JobPeriods::Period& period, WallTime at) {
  return period.from <= at && (!period.is_over || at <= period.to);
}

bool may_use(const JobPeriods::Period& period, const std::string& builder) {
  const auto& given = period.builders;
  return builder.empty() || given.empty() || std::find(given.begin(), given.end(), builder) != given.end();
}

}  // namespace

void JobPeriods::runs(const Period& period) {
  const auto known = std::find_if(periods_.begin(), periods_.end(),
                                  [&period](const Period& one) { return one.job == period.job && !one.is_over; });
  if (known == periods_.end()) {
    periods_.push_back(period);
  } else {
    *known = period;
  }
}

void JobPeriods::ended(const std::string& job, WallTime at) {
  for (auto& period : periods_) {
    if (period.job != job || period.is_over) continue;
    period.is_over = true;
    period.to = at;
  }
  const auto over = std::count_if(periods_.begin(), periods_.end(), [](const Period& one) { return one.is_over; });
  if (static_cast<std::size_t>(over) <= kMostEnded) return;
  periods_.erase(std::find_if(periods_.begin(), periods_.end(), [](const Period& one) { return one.is_over; }));
}

std::vector<std::string> JobPeriods::jobs_at(WallTime at) const {
  std::vector<std::string> jobs;
  for (const auto& period : periods_) {
    if (is_within(period, at)) jobs.push_back(period.job);
  }
  return jobs;
}

std::string JobPeriods::pipeline_at(WallTime at, const std::string& builder) const {
  const Period* found = nullptr;
  for (const auto& period : periods_) {
    if (!is_within(period, at) || !may_use(period, builder)) continue;
    if (found != nullptr && found->pipeline != period.pipeline) return "";
    found = &period;
  }
  return found == nullptr ? "" : found->pipeline;
}

}  // namespace buildwarden::policy
