// One step of pruning a build cache as a candidate's id. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/units.h"

namespace buildwarden::disk {

struct CacheStepId {
  std::string source;  // without blanks
  Bytes keep = 0;
  Duration unused_for{0};
};

// "builder:s3 keep 1073741824 unused 14400000": the whole of a step, so that deleting needs no memory of the plan.
std::string cache_step_id(const CacheStepId& step);
// Nothing for anything that cache_step_id() does not write.
std::optional<CacheStepId> parse_cache_step_id(std::string_view id);

}  // namespace buildwarden::disk
