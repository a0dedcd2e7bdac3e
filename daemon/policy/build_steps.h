// What steps of builds took, as a builder's history tells it, and which records of its cache they made. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/time.h"
#include "daemon/policy/eviction_order.h"

namespace buildwarden::policy {

// A step of a build that was carried out and succeeded; what was found in the cache took no time.
struct BuildStep {
  std::string name;  // "[build 3/7] RUN npm ci"
  WallTime started;
  WallTime completed;
};

// What the name of a step and the description of the record that it made have in common: of "[3/7] RUN --mount=… npm
// ci" and of "mount / from exec /bin/sh -c npm ci" it is "npm ci". "" where neither form is known.
std::string text_of_step(std::string_view name);
std::string text_of_record(std::string_view description);

// The seconds of each record, by its place in `records`, that a step is known to have made: the texts agree, and the
// record was made when the step ended (or, where nothing is built on it yet, when it began). BuildKit gives both no id
// in common. A record and a step belong together once at most, the nearest first; what is not known is left out.
std::map<std::size_t, double> seconds_of_records(const std::vector<CacheRecord>& records,
                                                 const std::vector<BuildStep>& steps);

}  // namespace buildwarden::policy
