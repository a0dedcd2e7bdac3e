// Whether the cache of an idle builder is collected now: BuildKit itself only does that at the end of a build. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "common/time.h"

namespace buildwarden::policy {

struct IdleCacheFacts {
  std::string builder;
  bool warm = false;
  std::size_t leases = 0;
  std::optional<int> running_builds;  // nothing: not known
  std::optional<Bytes> cache;         // as measured last; nothing: not known
  std::optional<Bytes> share;         // what it may hold without being asked; nothing: not known
};

struct IdleCacheMemory {
  std::optional<BootTime> idle_since;
  std::optional<BootTime> not_before;  // of the next collection
};

struct IdleCachePlan {
  bool collect = false;
  std::string reason;  // one sentence
  std::string rule;    // "over_share", "used", "idle_too_short", "within_share", "unknown", "collected_before"
  IdleCacheMemory memory;
};

// Idle for five minutes and over its share by more than a twentieth of it, at least 64 MiB: what a collection frees is
// worth its trouble. Not again within ten minutes: what is too young to go stays over the share for a while. What is
// not known is not idle.
IdleCachePlan decide_idle_cache(const IdleCacheFacts& facts, IdleCacheMemory memory, Now now);

}  // namespace buildwarden::policy
