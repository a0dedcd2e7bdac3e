#include "daemon/policy/idle_cache.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/format.h"

namespace buildwarden::policy {
namespace {

constexpr Duration kLeastIdle = std::chrono::minutes{5};
constexpr Duration kPause = std::chrono::minutes{10};
constexpr Bytes kLeastExcess = 64 * kMiB;
constexpr int kExcessPart = 20;

// Who uses it; "" when it is idle.
std::string user_of(const IdleCacheFacts& facts) {
  if (!facts.warm) return "it is not warm";
  if (facts.leases > 0) return format("{} jobs hold it", facts.leases);
  if (!facts.running_builds) return "whether builds run is not known";
  if (*facts.running_builds > 0) return format("{} builds run", *facts.running_builds);
  return "";
}

IdleCachePlan leave(IdleCacheMemory memory, std::string rule, std::string reason) {
  IdleCachePlan plan;
  plan.rule = std::move(rule);
  plan.reason = std::move(reason);
  plan.memory = memory;
  return plan;
}

}  // namespace

IdleCachePlan decide_idle_cache(const IdleCacheFacts& facts, IdleCacheMemory memory, Now now) {
  auto user = user_of(facts);
  if (!user.empty()) {
    memory.idle_since.reset();
    return leave(memory, "used", std::move(user));
  }
  if (!memory.idle_since) memory.idle_since = now.boot;
  const auto idle = now.boot - *memory.idle_since;
  if (idle < kLeastIdle) return leave(memory, "idle_too_short", format("idle for {}", short_duration(idle)));
  if (!facts.cache || !facts.share) return leave(memory, "unknown", "how large its cache is is not known");
  const auto excess = *facts.cache - *facts.share;
  const auto figures = format("its cache has {} of {}", format_bytes(*facts.cache), format_bytes(*facts.share));
  if (excess <= std::max(kLeastExcess, *facts.share / kExcessPart)) return leave(memory, "within_share", figures);
  if (memory.not_before && now.boot < *memory.not_before) {
    return leave(memory, "collected_before", format("{}, and it was collected a moment ago", figures));
  }
  memory.not_before = now.boot + kPause;
  auto plan = leave(memory, "over_share", format("idle for {}, and {}", short_duration(idle), figures));
  plan.collect = true;
  return plan;
}

}  // namespace buildwarden::policy
