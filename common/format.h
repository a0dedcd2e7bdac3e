// Text formatting, pure. The one place that names the library: <format> replaces it once the oldest compiler has it
// (GCC 13).
#pragma once

#include <fmt/core.h>

#include <string>

namespace buildwarden {

// Compiled once, in format.cpp: the library's formatters in every object made a third of the program.
std::string format_arguments(fmt::string_view text, fmt::format_args arguments);

// A format string that is checked against Args when its user is compiled.
template <class... Args>
using FormatString = fmt::format_string<Args...>;

// The format string is checked when the caller is compiled.
template <class... Args>
[[nodiscard]] std::string format(fmt::format_string<Args...> text, Args&&... args) {
  return format_arguments(text, fmt::make_format_args(args...));
}

}  // namespace buildwarden
