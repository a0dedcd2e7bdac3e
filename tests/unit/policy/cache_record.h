// A record of a build cache, as tests of the policy make it.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "daemon/policy/eviction_order.h"

namespace buildwarden::policy {

inline constexpr WallTime kRecordTime{Duration{1'790'000'000'000}};

// Of 1 MiB, made an hour before kRecordTime and not used since.
inline CacheRecord cache_record(std::string id, std::string description, std::vector<std::string> parents = {}) {
  CacheRecord result;
  result.id = std::move(id);
  result.size = kMiB;
  result.created = kRecordTime - std::chrono::hours{1};
  result.last_used = result.created;
  result.description = std::move(description);
  result.parents = std::move(parents);
  return result;
}

}  // namespace buildwarden::policy
