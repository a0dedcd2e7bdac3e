// The parser of binfmt_misc entries against any bytes: it answers or refuses, and what it answers is consistent.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "daemon/emulation/entry.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto entry = buildwarden::emulation::parse_entry("fuzzed", text);
  if (entry && (entry->interpreter.empty() || entry->interpreter.front() != '/' ||
                entry->mask.size() != entry->magic.size() || entry->offset < 0)) {
    std::abort();
  }
  return 0;
}
