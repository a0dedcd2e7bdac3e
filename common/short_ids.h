// Ids as people read them: the engine names things by 64 hexadecimal digits, of which 12 tell them apart.
#pragma once

#include <string>
#include <string_view>

namespace buildwarden {

inline constexpr std::size_t kIdDigits = 64;
inline constexpr std::size_t kShownDigits = 12;

// `text` with each id of 64 digits, alone or behind "sha256:", cut to the first 12.
std::string with_short_ids(std::string_view text);

}  // namespace buildwarden
