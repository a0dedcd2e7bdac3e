// The remote build cache as a job's shell hands it to `docker buildx build`. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "config/settings.h"

namespace buildwarden::builders {

// BUILDWARDEN_CACHE_FROM and BUILDWARDEN_CACHE_TO, the values of --cache-from and --cache-to; empty without a cache.
// Never holds credentials: the job's own client finds them. `cache_name`, where given, is the s3 manifest's name or the
// registry reference's tag.
std::map<std::string, std::string> cache_env(const CacheSettings& cache, const std::string& cache_name);

// Whether it may stand in both places: a tag's characters, at most 128 of them; "" may.
bool is_cache_name(std::string_view name);

}  // namespace buildwarden::builders
