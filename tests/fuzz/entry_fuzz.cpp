// The parser of binfmt_misc entries against any bytes: it answers or refuses, and what it answers is consistent.
#include "daemon/emulation/entry.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fuzz = buildwarden::fuzz;
  const auto entry = buildwarden::emulation::parse_entry("fuzzed", fuzz::as_text(data, size));
  if (!entry) return 0;
  fuzz::expect(!entry->interpreter.empty() && entry->interpreter.front() == '/' && entry->offset >= 0);
  fuzz::expect(entry->mask.size() == entry->magic.size());
  return 0;
}
