// How long tests wait for a state.
#pragma once

#include <chrono>

namespace buildwarden::testing {

// Never waited out by a test that passes: what is waited for comes early, or late on a busy machine and with a
// sanitizer.
inline constexpr std::chrono::seconds kTestPatience{120};

}  // namespace buildwarden::testing
