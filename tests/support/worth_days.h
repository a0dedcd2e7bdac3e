// Days of a CI host that nobody saw: jobs, what they touch, and how that changes. The same seed makes the same day.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "common/result.h"
#include "tests/support/worth_trace.h"

namespace buildwarden::testing {

inline constexpr std::array<std::string_view, 6> kDayKinds = {"monorepo", "small",   "branches",
                                                              "nightly",  "renewed", "same"};

// A trace of three to four days. kInvalid: no such kind.
Result<Trace> make_days(std::string_view kind, std::uint64_t seed);

}  // namespace buildwarden::testing
