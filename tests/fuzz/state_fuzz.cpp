// The files of leases and operations: a whole document, or an error; what was read is written and read the same.
#include "daemon/state/lease_json.h"
#include "daemon/state/operation_json.h"
#include "tests/fuzz/fuzz.h"

namespace buildwarden::fuzz {
namespace {

void read_leases(std::string_view text) {
  const auto first = state::read_leases(text);
  if (!first) return;
  const auto written = state::write_leases(*first);
  const auto again = state::read_leases(written);
  expect(again.ok() && state::write_leases(*again) == written);
}

void read_operations(std::string_view text) {
  const auto first = state::read_operations(text);
  if (!first) return;
  const auto written = state::write_operations(*first);
  const auto again = state::read_operations(written);
  expect(again.ok() && state::write_operations(*again) == written);
}

}  // namespace
}  // namespace buildwarden::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fuzz = buildwarden::fuzz;
  const auto [which, text] = fuzz::choose(data, size, 2);
  which == 0 ? fuzz::read_leases(text) : fuzz::read_operations(text);
  return 0;
}
