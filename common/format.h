// Text formatting, pure. The one place that names the library: <format> replaces it once the oldest compiler has it
// (GCC 13).
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

namespace buildwarden {

template <class... Args>
[[nodiscard]] std::string format(fmt::format_string<Args...> text, Args&&... args) {
  return fmt::format(text, std::forward<Args>(args)...);
}

}  // namespace buildwarden
