#include "common/format.h"

#include <fmt/format.h>

namespace buildwarden {

std::string format_arguments(fmt::string_view text, fmt::format_args arguments) {
  return fmt::vformat(text, arguments);
}

}  // namespace buildwarden
