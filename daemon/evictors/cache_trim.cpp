#include "daemon/evictors/cache_trim.h"

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "common/format.h"
#include "daemon/policy/worth_inputs.h"

namespace buildwarden::disk {
namespace {

struct TrimPlan {
  std::vector<policy::CacheStep> steps;
  Bytes before = 0;
};

struct TrimInput {
  std::vector<policy::CacheRecord> records;
  std::string builder;
  std::shared_ptr<const policy::Slots> slots;
  policy::PullRates rates;
  bool reuse_context = false;
  Bytes most = 0;
  Now now;
};

TrimPlan plan_trim(TrimInput& input) {
  TrimPlan plan;
  plan.before = policy::cache_bytes(input.records);
  policy::CacheList list(std::move(input.records));
  auto things = policy::cache_things(list, {input.builder, input.slots.get(), &input.rates, input.reuse_context});
  list.rank_by_value(std::move(things), input.now.wall);
  policy::EvictionRules rules;
  rules.by_value = true;
  constexpr int kSteps = 20;
  plan.steps = policy::cache_steps(list.order(), {plan.before / kSteps, input.most, {}}, rules, input.now);
  for (auto& step : plan.steps) step.places.clear();  // the list is gone then
  return plan;
}

}  // namespace

// On a worker: a hundred thousand records take longer than the loop may be kept.
ports::Async<CacheTrimmed> trim_cache(CacheTrim trim, Bytes most) {
  constexpr Duration kDeadline = std::chrono::seconds{30};
  auto records = co_await trim.cache.cache_records();
  if (!records) co_return std::move(records).error();
  auto input = std::make_shared<TrimInput>();
  input->records = *std::move(records);
  input->builder = trim.builder;
  input->slots = trim.worth.slots_of(trim.builder);
  input->rates = trim.worth.rates();
  input->reuse_context = trim.reuse_context;
  input->most = most;
  input->now = trim.clock.now();
  std::function<Result<TrimPlan>()> work = [input] { return Result<TrimPlan>(plan_trim(*input)); };
  const auto plan = co_await trim.workers.compute<TrimPlan>(std::move(work), kDeadline);
  if (!plan) co_return plan.error();
  CacheTrimmed trimmed;
  trimmed.left = plan->before;
  for (const auto& step : plan->steps) {
    if (trimmed.left <= most) break;
    auto pruned = co_await trim.cache.prune_cache(step.ids, Duration{0});
    if (!pruned) co_return std::move(pruned).error();
    trimmed.records += step.ids.size() - pruned->left.size();
    trimmed.bytes += pruned->freed;
    trimmed.left -= pruned->freed;
  }
  if (trimmed.left <= most) co_return trimmed;
  co_return Error(Errc::kTooLarge, format("{} of its cache are in use or shared and stay, and {} were wanted",
                                          format_bytes(trimmed.left), format_bytes(most)));
}

}  // namespace buildwarden::disk
