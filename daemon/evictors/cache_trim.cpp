#include "daemon/evictors/cache_trim.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "common/format.h"
#include "daemon/policy/freed_space.h"
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

// Of what the engine's volumes lie on.
boost::asio::awaitable<std::vector<policy::FreeReading>> free_for_volumes(ports::FilesystemProbe& probe) {
  const auto all = co_await probe.measure();
  std::vector<policy::FreeReading> readings;
  for (const auto& filesystem : all) {
    if (!filesystem.keeps.contains(ports::Kept::kVolumes) || !filesystem.reading) continue;
    const auto& reading = *filesystem.reading;
    readings.push_back({filesystem.name, filesystem.mount, reading.free, reading.free_inodes});
  }
  co_return readings;
}

// On a worker: a hundred thousand records take longer than the loop may be kept.
ports::Async<TrimPlan> plan_of(const CacheTrim& trim, Bytes most) {
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
  co_return co_await trim.workers.compute<TrimPlan>(std::move(work), kDeadline);
}

// What went stands in `trimmed`, also where it failed.
ports::Async<void> prune(const CacheTrim& trim, const TrimPlan& plan, Bytes most, CacheTrimmed& trimmed) {
  for (const auto& step : plan.steps) {
    if (trimmed.left <= most) break;
    auto pruned = co_await trim.cache.prune_cache(step.ids, Duration{0});
    if (!pruned) co_return std::move(pruned).error();
    trimmed.records += step.ids.size() - pruned->left.size();
    trimmed.bytes += pruned->freed;
    trimmed.left -= pruned->freed;
  }
  if (trimmed.left <= most) co_return Result<void>{};
  co_return Error(Errc::kTooLarge, format("{} of its cache are in use or shared and stay, and {} were wanted",
                                          format_bytes(trimmed.left), format_bytes(most)));
}

void record(const CacheTrim& trim, const CacheTrimmed& trimmed, const policy::FreedSpace& freed) {
  ports::Event event;
  event.kind = "seed.trimmed";
  event.rule = "max_size";
  event.reason =
      format("{} of builder {}'s cache were deleted for its seed, what is worth least first: {}, reported {}",
             counted(trimmed.records, "record"), trim.builder, to_text(freed), format_bytes(trimmed.bytes));
  event.fields = {{"builder", trim.builder},
                  {"records", static_cast<std::int64_t>(trimmed.records)},
                  {"reported_bytes", trimmed.bytes}};
  if (freed.is_known()) event.fields.emplace_back("freed_bytes", freed.bytes());
  trim.journal.record(std::move(event));
}

}  // namespace

ports::Async<CacheTrimmed> trim_cache(CacheTrim trim, Bytes most) {
  const auto plan = co_await plan_of(trim, most);
  if (!plan) co_return plan.error();
  const auto before = co_await free_for_volumes(trim.probe);
  CacheTrimmed trimmed;
  trimmed.left = plan->before;
  auto pruned = co_await prune(trim, *plan, most, trimmed);
  if (trimmed.records > 0) {
    const auto after = co_await free_for_volumes(trim.probe);
    record(trim, trimmed, policy::FreedSpace::between(before, after));
  }
  if (!pruned) co_return std::move(pruned).error();
  co_return trimmed;
}

}  // namespace buildwarden::disk
