#include "daemon/policy/prefetch.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/format.h"
#include "daemon/policy/backoff.h"

namespace buildwarden::policy {
namespace {

constexpr Duration kBuildersFirst = std::chrono::minutes{2};
constexpr Duration kLookAgain = std::chrono::seconds{5};
constexpr Duration kIdlePause = std::chrono::minutes{1};

bool is_open(const PrefetchItem& item) { return item.state != PrefetchState::kDone; }

// The pairs that the configuration asks for, the engine's first, then what seeds name.
std::vector<PrefetchItem> wanted(const std::vector<std::string>& images, const PrefetchFacts& facts,
                                 const std::vector<PrefetchItem>& known) {
  std::vector<PrefetchItem> items;
  const auto add = [&](const std::string& image, const std::string& builder) {
    const auto same = [&](const PrefetchItem& one) { return one.image == image && one.builder == builder; };
    if (std::any_of(items.begin(), items.end(), same)) return;
    const auto before = std::find_if(known.begin(), known.end(), same);
    PrefetchItem item;
    if (before != known.end()) item = *before;
    item.image = image;
    item.builder = builder;
    items.push_back(std::move(item));
    if (items.back().state == PrefetchState::kFetching) items.back().state = PrefetchState::kWaiting;
  };
  for (const auto& image : images) add(image, "");
  for (const auto& builder : facts.builders) {
    for (const auto& image : images) add(image, builder.name);
  }
  const auto configured = items.size();
  for (const auto& image : facts.seed_images) add(image, "");
  for (std::size_t at = 0; at < items.size(); ++at) items[at].from_seed = at >= configured;
  return items;
}

// Why nothing may be written now; "" when it may.
std::string short_disk(const std::vector<PrefetchDisk>& disks) {
  if (disks.empty()) return "where images land has not been measured yet";
  for (const auto& disk : disks) {
    if (disk.level == Level::kUnknown || !disk.free) return format("how much is free on {} is not known", disk.mount);
    if (disk.level == Level::kOk && !disk.wants_reclaim && *disk.free >= disk.low) continue;
    return format("{} is {}: {}; nothing is fetched below the low mark or while space is made", disk.mount,
                  to_string(disk.level), disk.reason);
  }
  return "";
}

std::string cold_builder(const std::vector<PrefetchBuilder>& builders) {
  for (const auto& builder : builders) {
    if (builder.state != BuilderState::kWarm && builder.state != BuilderState::kOff) return builder.name;
  }
  return "";
}

bool is_warm(const std::vector<PrefetchBuilder>& builders, const std::string& name) {
  return std::any_of(builders.begin(), builders.end(), [&name](const PrefetchBuilder& builder) {
    return builder.name == name && builder.state == BuilderState::kWarm;
  });
}

void wait(PrefetchPlan& plan, std::string rule, std::string reason, Duration again) {
  plan.rule = std::move(rule);
  plan.reason = std::move(reason);
  plan.again = again;
}

// The first that may go, those that failed last.
void choose(PrefetchPlan& plan, const PrefetchFacts& facts, Now now) {
  std::optional<BootTime> earliest;
  std::string cold;
  bool waits_for_jobs = false;
  for (const bool failed : {false, true}) {
    for (std::size_t at = 0; at < plan.items.size(); ++at) {
      const auto& item = plan.items[at];
      if (!is_open(item) || (item.failures > 0) != failed) continue;
      if (!item.builder.empty() && !is_warm(facts.builders, item.builder)) {
        cold = item.builder;
      } else if (item.from_seed && facts.is_used) {
        waits_for_jobs = true;
      } else if (item.not_before && *item.not_before > now.boot) {
        earliest = earliest ? std::min(*earliest, *item.not_before) : *item.not_before;
      } else {
        plan.next = at;
        wait(plan, "fetch", format("{} is fetched", item.image), Duration{0});
        return;
      }
    }
  }
  if (earliest) {
    const auto left = *earliest - now.boot;
    wait(plan, "backing_off", format("the next try is {} away", short_duration(left)), std::min(left, kIdlePause));
  } else if (!cold.empty()) {
    wait(plan, "builders", format("builder {} is not warm", cold), kLookAgain);
  } else if (waits_for_jobs) {
    wait(plan, "jobs", "what seeds name is fetched while no job is at work", kLookAgain);
  }
}

}  // namespace

std::string_view to_string(PrefetchState state) {
  switch (state) {
    case PrefetchState::kWaiting: return "waiting";
    case PrefetchState::kFetching: return "fetching";
    case PrefetchState::kDone: return "done";
    case PrefetchState::kFailed: return "failed";
  }
  return "unknown";
}

PrefetchPlan plan_prefetch(const std::vector<std::string>& images, const std::vector<PrefetchItem>& known,
                           const PrefetchFacts& facts, Now now) {
  PrefetchPlan plan;
  plan.items = wanted(images, facts, known);
  const auto done = std::none_of(plan.items.begin(), plan.items.end(), is_open);
  const auto shortage = short_disk(facts.disks);
  const auto cold = cold_builder(facts.builders);
  if (plan.items.empty()) {
    wait(plan, "nothing", "no images are configured", kIdlePause);
  } else if (done) {
    wait(plan, "all_done", format("all {} are there", plan.items.size()), kIdlePause);
  } else if (!facts.engine_up) {
    wait(plan, "engine_down", "the engine is not reached", kLookAgain);
  } else if (!shortage.empty()) {
    wait(plan, "disk", shortage, kLookAgain);
  } else if (!cold.empty() && facts.since_start < kBuildersFirst) {
    wait(plan, "builders", format("builder {} is made warm first", cold), kLookAgain);
  } else {
    choose(plan, facts, now);
  }
  return plan;
}

PrefetchItem fetch_failed(PrefetchItem item, std::string failure, Duration jitter, Now now) {
  item.state = PrefetchState::kFailed;
  ++item.failures;
  item.not_before = now.boot + pull_pause(item.failures) + jitter;
  item.reason = std::move(failure);
  return item;
}

PrefetchItem fetched(PrefetchItem item, std::string reason, Now now) {
  item.state = PrefetchState::kDone;
  item.failures = 0;
  item.not_before.reset();
  item.reason = std::move(reason);
  item.done_at = now.wall;
  return item;
}

}  // namespace buildwarden::policy
