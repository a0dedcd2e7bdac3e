#include <algorithm>
#include <tuple>
#include <utility>

#include "daemon/policy/candidate.h"

namespace buildwarden::policy {
namespace {

// A prune can only be told an age: the one that spares what is too young, in grace, or used since the oldest job start.
Duration age_for(const EvictionRules& rules, Now now) {
  auto age = std::max({rules.age, rules.grace, Duration{0}});
  // One more than the job's age: what was used in the very millisecond of its start stays.
  if (rules.oldest_job_start) age = std::max(age, now.wall - *rules.oldest_job_start + Duration{1});
  return age;
}

bool may_go(const CacheRecord& record, Duration age, Now now) {
  return !record.in_use && !record.shared && std::max(now.wall - record.last_used, Duration{0}) >= age;
}

bool record_goes_before(const CacheRecord* one, const CacheRecord* other) {
  return std::tie(one->last_used, one->id) < std::tie(other->last_used, other->id);
}

Bytes own_bytes(const CacheRecord& record) { return record.shared ? 0 : record.size; }

}  // namespace

CacheList::CacheList(std::vector<CacheRecord> records) : records_(std::move(records)) {
  order_.reserve(records_.size());
  for (const auto& record : records_) order_.push_back(&record);
  std::sort(order_.begin(), order_.end(), record_goes_before);
}

Bytes cache_bytes(const std::vector<CacheRecord>& records) {
  Bytes bytes = 0;
  for (const auto& record : records) bytes += own_bytes(record);
  return bytes;
}

Bytes cache_bytes(const CacheOrder& records) {
  Bytes bytes = 0;
  for (const auto* record : records) bytes += own_bytes(*record);
  return bytes;
}

std::vector<CacheStep> cache_steps(const CacheOrder& records, const CacheBounds& bounds, const EvictionRules& rules,
                                   Now now) {
  if (rules.oldest_job_start && *rules.oldest_job_start > now.wall) return {};
  const auto age = age_for(rules, now);
  Bytes left = cache_bytes(records);
  std::vector<CacheStep> steps;
  CacheStep step;
  for (const auto* record : records) {
    if (left <= std::max<Bytes>(bounds.floor, 0)) break;
    if (!may_go(*record, age, now)) continue;
    left -= record->size;
    step.unused_for = age;
    step.keep = left;
    step.frees += record->size;
    step.records += 1;
    step.newest = record->last_used;
    if (step.frees < std::max<Bytes>(bounds.chunk, 1)) continue;
    steps.push_back(step);
    step = CacheStep{};
  }
  if (step.frees > 0) steps.push_back(step);
  return steps;
}

CacheOrder after_step(CacheOrder records, Bytes keep, Duration unused_for, Now now) {
  Bytes left = cache_bytes(records);
  std::erase_if(records, [&](const CacheRecord* record) {
    if (left <= keep || !may_go(*record, unused_for, now)) return false;
    left -= record->size;
    return true;
  });
  return records;
}

}  // namespace buildwarden::policy
