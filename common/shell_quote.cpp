#include "common/shell_quote.h"

namespace buildwarden {

std::string shell_quote(std::string_view value) {
  std::string quoted = "'";
  for (const char character : value) {
    if (character == '\'') {
      quoted += "'\\''";
    } else if (character != '\0') {
      quoted += character;
    }
  }
  return quoted + "'";
}

}  // namespace buildwarden
