// Which commit the program was made of.
#pragma once

#include <string_view>

namespace buildwarden {

// Twelve hexadecimal digits, "unknown" where the sources were no checkout when they were configured.
std::string_view revision();

}  // namespace buildwarden
