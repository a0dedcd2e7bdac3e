// What BuildKit's client answers, and references on their way into its commands.
#include "daemon/builders/buildctl.h"
#include "daemon/builders/remote_cache.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fuzz = buildwarden::fuzz;
  namespace builders = buildwarden::builders;
  const auto [which, text] = fuzz::choose(data, size, 4);
  if (which == 0) {
    const auto records = builders::decode_usage(text);
    if (!records) return 0;
    for (const auto& record : *records) fuzz::expect(!record.id.empty() && record.size >= 0);
  } else if (which == 1) {
    const auto pruned = builders::decode_pruned(text);
    fuzz::expect(!pruned || pruned->bytes >= 0);
  } else if (which == 2) {
    const auto command = builders::fetch_command(text);
    if (!command) return 0;
    for (const char c : text) fuzz::expect(c > ' ' && c <= '~');
  } else if (builders::is_cache_name(text)) {
    fuzz::expect(text.size() <= 128 && text.find_first_of(",=\"'$`\\ \n") == std::string_view::npos);
  }
  return 0;
}
