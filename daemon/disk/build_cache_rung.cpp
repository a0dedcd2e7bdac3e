#include "daemon/disk/build_cache_rung.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "common/format.h"
#include "daemon/disk/cache_step_id.h"
#include "daemon/disk/reclaim_record.h"
#include "daemon/disk/rules.h"

namespace buildwarden::disk {
namespace {

constexpr Bytes kSmallestChunk = 64 * kMiB;
constexpr int kChunksOfAll = 20;  // 5 % each
constexpr Duration kPlanDeadline = std::chrono::seconds{30};

using Cache = std::shared_ptr<const policy::CacheList>;

struct Plan {
  // What is not kept for later turns is freed where the plan is made, not on the loop.
  struct Input {
    std::vector<policy::CacheRecord> records;
    Cache cache;  // instead, where an earlier turn has listed it
  };
  std::shared_ptr<Input> input;
  bool keep = false;
  std::vector<CacheStepId> pretended;
  Bytes floor = 0;
  policy::EvictionRules rules;
  Now now;
};

struct Planned {
  std::vector<policy::CacheStep> steps;
  Cache cache;  // where it is kept
};

// Empties the input.
Result<Planned> steps_of(const Plan& plan) {
  auto cache = std::move(plan.input->cache);
  if (!cache) cache = std::make_shared<const policy::CacheList>(std::move(plan.input->records));
  auto records = cache->order();
  for (const auto& step : plan.pretended) {
    records = policy::after_step(std::move(records), step.keep, step.unused_for, plan.now);
  }
  policy::CacheBounds bounds;
  bounds.chunk = std::max(kSmallestChunk, policy::cache_bytes(records) / kChunksOfAll);
  bounds.floor = plan.floor;
  Planned planned;
  planned.steps = policy::cache_steps(records, bounds, plan.rules, plan.now);
  if (plan.keep) planned.cache = std::move(cache);
  return planned;
}

std::vector<CacheStepId> pretended_on(const CacheSource& source, const policy::RungTurn& turn) {
  std::vector<CacheStepId> steps;
  if (!turn.pretended) return steps;
  for (const auto& id : turn.pretended->order) {
    auto step = parse_cache_step_id(id);
    if (!step || step->source != source.key) continue;
    // Deeper at the same age: what the one before took goes with it.
    const bool includes =
        !steps.empty() && steps.back().unused_for == step->unused_for && step->keep <= steps.back().keep;
    if (includes) steps.pop_back();
    steps.push_back(*std::move(step));
  }
  return steps;
}

policy::Candidate candidate_of(const CacheSource& source, const policy::CacheStep& step, Now now) {
  policy::Candidate candidate;
  candidate.id = cache_step_id({source.key, step.keep, step.unused_for});
  candidate.name = format("{} records of {}", step.records, source.name);
  candidate.size = step.frees;
  candidate.last_use.at = step.newest;
  // The caches keep these times themselves; whether the clock can be trusted was asked before.
  candidate.last_use.observed = std::max(Duration{0}, now.wall - step.newest);
  return candidate;
}

}  // namespace

BuildCacheRung::BuildCacheRung(policy::RungId id, Parts parts) : id_(id), parts_(std::move(parts)) {}

ports::Async<std::vector<policy::Candidate>> BuildCacheRung::list(const policy::RungTurn& turn) {
  return list_all(turn);
}

ports::Async<ports::Rung::Taken> BuildCacheRung::take(const policy::Candidate& candidate,
                                                      const policy::RungTurn& turn) {
  return prune(candidate, turn);
}

// An age is worth nothing for the whole of keep_used_within after the clock was set. The share goes by size; what it
// must spare all the same, the grace and the use of running jobs, is known again once these began after the step.
bool BuildCacheRung::ages_are_known(Now now) const {
  if (id_ == policy::RungId::kBuildCache) return parts_.clock_is_steady_for(parts_.settings.disk.keep_used_within);
  auto time = parts_.settings.disk.grace;
  if (const auto start = parts_.in_use.now().oldest_job_start) time = std::max(time, now.wall - *start);
  return parts_.clock_is_steady_for(time);
}

// Of one that nobody knows nothing is taken.
bool BuildCacheRung::has_size(const Home& home) { return !home.is_known || home.total > 0; }

ports::Async<BuildCacheRung::Homes> BuildCacheRung::homes() {
  Homes homes;
  for (const auto& filesystem : co_await parts_.meter.measure()) {
    Home home;
    home.is_known = true;
    home.device = filesystem.device;
    if (filesystem.reading) home.total = filesystem.reading->total;
    if (filesystem.keeps.contains(ports::Kept::kImages)) homes.engine = home;
    if (filesystem.keeps.contains(ports::Kept::kVolumes)) homes.builders = home;
  }
  const bool by_share = id_ == policy::RungId::kBuildCacheShare;
  if (!by_share || (has_size(homes.engine) && has_size(homes.builders))) co_return homes;
  co_return Error(Errc::kUnavailable, "the size of the engine's filesystem is not known");
}

ports::Async<std::vector<policy::Candidate>> BuildCacheRung::list_all(policy::RungTurn turn) {
  std::vector<policy::Candidate> candidates;
  if (!ages_are_known(parts_.clock.now())) co_return candidates;
  const auto status = parts_.engine.status();
  if (!status.up) co_return Error(Errc::kUnavailable, format("the engine is down: {}", status.reason));
  planned_on_ = status.identity;
  const auto homes = co_await this->homes();
  if (!homes) co_return homes.error();
  std::optional<Error> failure;
  bool any = false;
  const auto sources = parts_.sources();
  for (const auto& source : sources) {
    if (source.is_engines_own && !turn.engine_cache) continue;
    auto home = source.is_engines_own ? homes->engine : homes->builders;
    if (!home.is_known) continue;  // nobody knows which disk it would free
    auto listed = co_await list_one(&source, turn, std::move(home));
    any = any || listed;
    if (listed) {
      std::move(listed->begin(), listed->end(), std::back_inserter(candidates));
    } else {
      if (failure) parts_.journal.record(rung_failed_event(turn, *failure));
      failure = listed.error();
    }
  }
  if (failure && !any) co_return *std::move(failure);  // whoever asked records it
  if (failure) parts_.journal.record(rung_failed_event(turn, *failure));
  co_return candidates;
}

ports::Async<std::vector<policy::Candidate>> BuildCacheRung::list_one(const CacheSource* source, policy::RungTurn turn,
                                                                      Home home) {
  std::vector<policy::Candidate> candidates;
  Plan plan;
  plan.input = std::make_shared<Plan::Input>();
  plan.keep = turn.found != nullptr;
  if (turn.found) plan.input->cache = turn.found->caches[source->key];
  if (!plan.input->cache) {
    auto records = co_await source->cache->cache_records();
    if (!records && records.error().code() == Errc::kNotFound) co_return candidates;
    if (!records) co_return std::move(records).error().with_context(format("list {}", source->name));
    plan.input->records = *std::move(records);
  }
  plan.pretended = pretended_on(*source, turn);
  plan.floor = id_ == policy::RungId::kBuildCacheShare ? source->share.of(home.total) : 0;
  plan.rules = eviction_rules(parts_.settings.disk, turn, parts_.in_use);
  plan.now = parts_.clock.now();
  std::function<Result<Planned>()> work = [plan] { return steps_of(plan); };
  const auto planned = co_await parts_.workers.compute<Planned>(std::move(work), kPlanDeadline);
  if (!planned) co_return Error(planned.error()).with_context(format("plan {}", source->name));
  if (turn.found) turn.found->caches[source->key] = planned->cache;
  for (const auto& step : planned->steps) {
    candidates.push_back(candidate_of(*source, step, plan.now));
    candidates.back().device = home.device;
  }
  co_return candidates;
}

ports::Async<ports::Rung::Taken> BuildCacheRung::prune(policy::Candidate candidate, policy::RungTurn turn) {
  Taken taken;
  const auto step = parse_cache_step_id(candidate.id);
  if (!step) co_return Error(Errc::kInvalid, format("{} is not a step of this rung", candidate.id));
  const auto sources = parts_.sources();
  const auto source =
      std::find_if(sources.begin(), sources.end(), [&step](const CacheSource& one) { return one.key == step->source; });
  if (source == sources.end()) {
    taken.dropped = "its builder is not configured any more";
    co_return taken;
  }
  const auto status = parts_.engine.status();
  if (!status.up || status.identity.id != planned_on_.id || status.identity.root_dir != planned_on_.root_dir) {
    taken.dropped = status.up ? "another engine answers now" : format("the engine went down: {}", status.reason);
    co_return taken;
  }
  // Records used since the plan move the older ones beyond `keep`: the age holds for them all the same, and so does
  // the start of the oldest job.
  auto unused_for = std::max({step->unused_for, turn.age, parts_.settings.disk.grace});
  if (const auto start = parts_.in_use.now().oldest_job_start) {
    unused_for = std::max(unused_for, std::chrono::duration_cast<Duration>(parts_.clock.now().wall - *start));
  }
  const auto reported = co_await source->cache->prune_cache(step->keep, unused_for);
  const auto code = reported ? Errc::kInvalid : reported.error().code();
  if (!reported && code != Errc::kConflict && code != Errc::kNotFound) co_return reported.error();
  if (reported) {
    taken.reported = *reported;
  } else {
    taken.dropped = format("it cannot be pruned now: {}", reported.error().message());
  }
  co_return taken;
}

}  // namespace buildwarden::disk
