// Output of a command as the engine sends it.
#pragma once

#include <string>

namespace buildwarden::engine {

// One frame of a multiplexed stream (Engine API, "Attach to a container"): 1 is standard output, 2 standard error.
inline std::string frame(char stream, const std::string& text) {
  std::string head(8, '\0');
  head[0] = stream;
  head[6] = static_cast<char>(text.size() >> 8U);
  head[7] = static_cast<char>(text.size() & 0xffU);
  return head + text;
}

}  // namespace buildwarden::engine
