// Text from anywhere as one word of a POSIX shell.
#pragma once

#include <string>
#include <string_view>

namespace buildwarden {

// In single quotes; a NUL, which no shell takes, is left out.
std::string shell_quote(std::string_view value);

}  // namespace buildwarden
