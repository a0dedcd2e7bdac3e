// Versions of the engine's API and the one that is spoken. Pure.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "common/result.h"

namespace buildwarden::engine {

struct ApiVersion {
  int major = 0;
  int minor = 0;
  friend auto operator<=>(const ApiVersion&, const ApiVersion&) = default;
  [[nodiscard]] std::string text() const { return std::to_string(major) + "." + std::to_string(minor); }
};

// 20.10 is the oldest engine that is met; of 1.55 every shape used here is known.
inline constexpr ApiVersion kOldestApi{1, 41};
inline constexpr ApiVersion kNewestApi{1, 55};

// GET /system/df and image lists by type; before, everything is computed.
inline constexpr ApiVersion kTypedUsage{1, 42};
// Containers mount images (`--mount type=image`).
inline constexpr ApiVersion kImageMounts{1, 48};
// GET /system/df lists a cache's records below BuildCacheUsage, and only when it is asked to be verbose.
inline constexpr ApiVersion kUsageItems{1, 52};

// "1.45"; kProtocol otherwise.
Result<ApiVersion> parse_api_version(std::string_view text);

// The version to speak with an engine that offers `newest_offered` (its Api-Version header): the lesser of that and
// kNewestApi. kProtocol: no version, or one before kOldestApi.
Result<ApiVersion> choose_api_version(std::string_view newest_offered);

}  // namespace buildwarden::engine
