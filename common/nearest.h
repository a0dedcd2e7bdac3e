// The guess behind "did you mean".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace buildwarden {

// The candidate that differs from `word` by the fewest edits; "" when none is close enough to be meant.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace buildwarden
