#include "daemon/evictors/build_cache.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "common/format.h"
#include "daemon/evictors/eviction_result.h"
#include "daemon/policy/eviction_rules.h"
#include "daemon/ports/rung_failed_event.h"

namespace buildwarden::disk {
namespace {

constexpr Bytes kSmallestChunk = 64 * kMiB;
constexpr int kChunksOfAll = 20;                                 // 5 % each
constexpr Duration kNoAge = std::chrono::hours{24 * 365 * 100};  // nothing is so old
constexpr Duration kPlanDeadline = std::chrono::seconds{30};

using Cache = std::shared_ptr<const policy::CacheList>;

// What the ranking by value needs.
struct Knowledge {
  std::string builder;
  std::shared_ptr<const policy::Slots> slots;
  policy::PullRates rates;
  bool reuse_context = false;
  bool learns = false;           // nobody else looks at this cache: what it shows is learned now
  policy::CacheBefore before{};  // of one that is learned from
};

struct Plan {
  // What is not kept for later turns is freed where the plan is made, not on the loop.
  struct Input {
    std::vector<policy::CacheRecord> records;
    Cache cache;  // instead, where an earlier turn has listed it
  };
  std::shared_ptr<Input> input;
  bool keep = false;
  std::vector<std::shared_ptr<const policy::CacheStep>> pretended;
  Bytes floor = 0;
  std::optional<Bytes> share;
  policy::EvictionRules rules;
  Now now;
  std::optional<Knowledge> knowledge{};  // nothing: by last use
};

struct PlannedSteps {
  struct Step {
    policy::CacheStep step;
    std::optional<policy::Valuation> value;
    std::map<std::string, policy::LostRecord> lost{};
  };
  std::vector<Step> steps;
  Cache cache;                                          // where it is kept
  std::shared_ptr<const policy::SlotsLearned> learned;  // where something was
};

Cache listed(std::vector<policy::CacheRecord> records, const Plan& plan, PlannedSteps& planned) {
  if (!plan.knowledge) return std::make_shared<const policy::CacheList>(std::move(records));
  const auto& knowledge = *plan.knowledge;
  const auto* slots = knowledge.slots.get();
  std::shared_ptr<policy::SlotsLearned> learned;
  if (knowledge.learns) {
    learned = std::make_shared<policy::SlotsLearned>(
        policy::learn_slots(*slots, records, knowledge.builder, {}, plan.now.wall));
    slots = &learned->slots;
  }
  auto list = std::make_shared<policy::CacheList>(std::move(records));
  const policy::CacheFacts facts{knowledge.builder, slots, &knowledge.rates, knowledge.reuse_context};
  auto things = policy::cache_things(*list, facts);
  if (learned) {
    const auto account = policy::account_for(*list, things, knowledge.before);
    learned->account = std::make_shared<const policy::CacheAccount>(account);
    planned.learned = std::move(learned);
  }
  list->rank_by_value(std::move(things), plan.now.wall);
  return list;
}

// Of what was ranked by value, where it is going to be deleted.
void note_losses(const policy::CacheList& cache, PlannedSteps& planned) {
  if (cache.things().empty()) return;
  const auto losses = policy::losses_of(cache.records(), cache.things());
  for (auto& step : planned.steps) {
    for (const auto& id : step.step.ids) {
      const auto loss = losses.find(id);
      if (loss != losses.end()) step.lost.emplace(id, loss->second);
    }
  }
}

// Empties the input.
Result<PlannedSteps> steps_of(const Plan& plan) {
  PlannedSteps planned;
  auto cache = std::move(plan.input->cache);
  if (!cache) cache = listed(std::move(plan.input->records), plan, planned);
  std::set<std::string> pretended;
  for (const auto& step : plan.pretended) pretended.insert(step->ids.begin(), step->ids.end());
  const auto records = pretended.empty() ? cache->order() : policy::without(cache->order(), pretended);
  policy::CacheBounds bounds;
  bounds.chunk = std::max(kSmallestChunk, policy::cache_bytes(records) / kChunksOfAll);
  bounds.floor = plan.floor;
  bounds.share = plan.share;
  for (auto& step : policy::cache_steps(records, bounds, plan.rules, plan.now)) {
    auto value = cache->value_of(step);
    step.places.clear();  // the list may not live so long
    planned.steps.push_back({std::move(step), std::move(value)});
  }
  if (!plan.keep && !planned.steps.empty()) note_losses(*cache, planned);
  if (plan.keep) planned.cache = std::move(cache);
  return planned;
}

// What the run deleted of any cache until now. Ids are random, so those of other caches mean nothing here.
std::vector<std::shared_ptr<const policy::CacheStep>> pretended_in(const policy::RungTurn& turn) {
  std::vector<std::shared_ptr<const policy::CacheStep>> steps;
  if (!turn.pretended || !turn.found) return steps;
  for (const auto& candidate : turn.pretended->order) {
    const auto step = turn.found->cache_steps.find(candidate);
    if (step != turn.found->cache_steps.end()) steps.push_back(step->second);
  }
  return steps;
}

policy::Candidate candidate_of(const CacheSource& source, const policy::CacheStep& step, Now now) {
  policy::Candidate candidate;
  candidate.id = format("{} {} from {}", source.key, step.ids.size(), step.ids.front());
  candidate.name = format("{} records of {}", step.ids.size(), source.name);
  candidate.size = step.frees;
  candidate.is_over_share = step.is_over_share;
  candidate.last_use.at = step.newest;
  // The caches keep these times themselves; whether the clock can be trusted was asked before.
  candidate.last_use.observed = std::max(Duration{0}, now.wall - step.newest);
  return candidate;
}

}  // namespace

BuildCacheEvictor::BuildCacheEvictor(policy::RungId id, Parts parts) : id_(id), parts_(std::move(parts)) {}

ports::Async<std::vector<policy::Candidate>> BuildCacheEvictor::list(const policy::RungTurn& turn) {
  return list_all(turn);
}

ports::Async<ports::EvictionResult> BuildCacheEvictor::evict(const policy::Candidate& candidate,
                                                             const policy::RungTurn& turn) {
  return prune(candidate, turn);
}

// An age is worth nothing for the whole of keep_used_within after the clock was set. The share goes by size; what it
// must spare all the same, the grace and the use of running jobs, is known again once these began after the step.
bool BuildCacheEvictor::ages_are_known(const policy::RungTurn& turn, Now now) const {
  const bool by_age = id_ == policy::RungId::kBuildCache && !turn.down_to_share;
  if (by_age) return parts_.clock_is_steady_for(parts_.settings.disk.keep_used_within);
  auto time = parts_.settings.disk.grace;
  if (const auto start = parts_.in_use.now().oldest_job_start) time = std::max(time, now.wall - *start);
  return parts_.clock_is_steady_for(time);
}

// Of one that nobody knows nothing is taken.
bool BuildCacheEvictor::has_size(const Home& home) { return !home.is_known || home.total > 0; }

ports::Async<BuildCacheEvictor::Homes> BuildCacheEvictor::homes() {
  Homes homes;
  for (const auto& filesystem : co_await parts_.probe.measure()) {
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

ports::Async<std::vector<policy::Candidate>> BuildCacheEvictor::list_all(policy::RungTurn turn) {
  std::vector<policy::Candidate> candidates;
  if (!turn.dry_run) planned_.clear();
  if (!ages_are_known(turn, parts_.clock.now())) co_return candidates;
  auto engine = running_engine(parts_.engine);
  if (!engine) co_return std::move(engine).error();
  if (!turn.dry_run) planned_on_ = *std::move(engine);
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
      if (failure) parts_.journal.record(ports::rung_failed_event(turn, *failure));
      failure = listed.error();
    }
  }
  if (failure && !any) co_return *std::move(failure);  // whoever asked records it
  if (failure) parts_.journal.record(ports::rung_failed_event(turn, *failure));
  co_return candidates;
}

ports::Async<std::vector<policy::Candidate>> BuildCacheEvictor::list_one(const CacheSource* source,
                                                                         policy::RungTurn turn, Home home) {
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
  plan.pretended = pretended_in(turn);
  plan.floor = id_ == policy::RungId::kBuildCacheShare ? source->share.of(home.total) : 0;
  if (turn.down_to_share && home.total > 0) plan.share = source->share.of(home.total);
  plan.rules = policy::eviction_rules(parts_.settings.disk, turn, parts_.in_use.now().oldest_job_start);
  // After a step of the clock only the share is left to go by.
  const bool knows_age = parts_.clock_is_steady_for(parts_.settings.disk.keep_used_within);
  if (turn.down_to_share && !knows_age) plan.rules.age = kNoAge;
  plan.now = parts_.clock.now();
  if (parts_.worth != nullptr && plan.rules.by_value) {
    plan.knowledge = Knowledge{source->builder, parts_.worth->slots_of(source->builder), parts_.worth->rates(),
                               parts_.settings.jobs.reuse_context, source->is_engines_own};
    if (source->is_engines_own) plan.knowledge->before = parts_.worth->cache_before(source->builder);
  }
  std::function<Result<PlannedSteps>()> work = [plan] { return steps_of(plan); };
  auto planned = co_await parts_.workers.compute<PlannedSteps>(std::move(work), kPlanDeadline);
  if (!planned) co_return Error(planned.error()).with_context(format("plan {}", source->name));
  if (turn.found) turn.found->caches[source->key] = planned->cache;
  if (planned->learned) co_await parts_.worth->keep(source->builder, plan.knowledge->slots, planned->learned);
  for (auto& [step, value, lost] : planned->steps) {
    candidates.push_back(candidate_of(*source, step, plan.now));
    candidates.back().device = home.device;
    candidates.back().value = std::move(value);
    remember(turn, candidates.back(), {source->key, std::move(step), std::move(lost)});
  }
  co_return candidates;
}

void BuildCacheEvictor::remember(const policy::RungTurn& turn, const policy::Candidate& candidate, Planned planned) {
  if (turn.found) {
    turn.found->cache_steps[candidate.id] = std::make_shared<const policy::CacheStep>(std::move(planned.step));
  } else if (!turn.dry_run) {
    planned_[candidate.id] = std::move(planned);
  }
}

std::string BuildCacheEvictor::outdated() const { return engine_changed(parts_.engine.status(), planned_on_); }

Duration BuildCacheEvictor::unused_for(const policy::CacheStep& step, const policy::RungTurn& turn) const {
  const auto age = step.is_over_share ? Duration{0} : turn.age;
  const auto time = std::max({step.unused_for, age, parts_.settings.disk.grace});
  const auto start = parts_.in_use.now().oldest_job_start;
  if (!start) return time;
  return std::max(time, std::chrono::duration_cast<Duration>(parts_.clock.now().wall - *start));
}

ports::Async<ports::EvictionResult> BuildCacheEvictor::prune(policy::Candidate candidate, policy::RungTurn turn) {
  const auto found = planned_.find(candidate.id);
  if (found == planned_.end()) co_return dropped("it is not of the last plan");
  const auto planned = found->second;
  const auto sources = parts_.sources();
  const auto source = std::find_if(sources.begin(), sources.end(),
                                   [&planned](const CacheSource& one) { return one.key == planned.source; });
  if (source == sources.end()) co_return dropped("its builder is not configured any more");
  auto why = outdated();
  if (!why.empty()) co_return dropped(std::move(why));
  const auto done = co_await source->cache->prune_cache(planned.step.ids, unused_for(planned.step, turn));
  if (done) {
    co_await tell(&*source, &planned, &done->left);
    co_return result_of(planned, candidate, *done);
  }
  const auto code = done.error().code();
  if (code != Errc::kConflict && code != Errc::kNotFound) co_return done.error();
  co_return dropped(format("it cannot be pruned now: {}", done.error().message()));
}

boost::asio::awaitable<void> BuildCacheEvictor::tell(const CacheSource* source, const Planned* planned,
                                                     const std::set<std::string>* left) {
  if (parts_.witness == nullptr || planned->lost.empty()) co_return;
  std::vector<policy::LostRecord> lost;
  for (const auto& [id, record] : planned->lost) {
    if (!left->contains(id)) lost.push_back(record);
  }
  co_await parts_.witness->cache_deleted(source->builder, std::move(lost));
}

ports::EvictionResult BuildCacheEvictor::result_of(const Planned& planned, const policy::Candidate& candidate,
                                                   const ports::CachePrune& done) {
  constexpr std::string_view kWhy = "in use again, used since the plan, or something was built on them";
  const auto all = planned.step.ids.size();
  if (done.left.size() >= all) return dropped(std::string(kWhy));
  ports::EvictionResult taken;
  taken.reported = done.freed;
  if (done.left.empty()) return taken;
  taken.spared = std::max<Bytes>(candidate.size - done.freed, 0);
  taken.spared_name = format("{} of the {}", done.left.size(), candidate.name);
  taken.spared_why = kWhy;
  return taken;
}

}  // namespace buildwarden::disk
