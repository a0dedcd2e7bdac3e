// What the instance's metadata, the AWS CLI and the file of a termination say: understood or refused; an intent that
// was read is written and read the same.
#include "daemon/instance/aws.h"
#include "daemon/instance/intent.h"
#include "tests/fuzz/fuzz.h"

namespace buildwarden::fuzz {
namespace {

void read_identity(std::string_view text) {
  const auto identity = instance::read_identity(text);
  if (!identity) return;
  // They become words of a command.
  for (const auto& word : {identity->id, identity->region}) {
    expect(!word.empty() && word.front() != '-' && word.find_first_of(" \n\t\"'$`\\;") == std::string::npos, word);
  }
}

void read_end(std::string_view text) {
  ProgramEnd end;
  end.exit_code = text.empty() ? 0 : text.front() % 4;
  end.errors = text;
  expect(instance::news_of(end).text.find('\n') == std::string::npos);
}

void read_intent(std::string_view text) {
  const auto first = instance::read_intent(std::string(text));
  if (!first) return;
  const auto written = instance::write_intent(first->intent, first->boot_id);
  const auto again = instance::read_intent(written);
  expect_ok(again);
  expect(instance::write_intent(again->intent, again->boot_id) == written, written);
}

}  // namespace
}  // namespace buildwarden::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fuzz = buildwarden::fuzz;
  const auto [which, text] = fuzz::choose(data, size, 4);
  switch (which) {
    case 0: fuzz::read_identity(text); break;
    case 1: fuzz::read_end(text); break;
    case 2: fuzz::read_intent(text); break;
    default: (void)buildwarden::instance::read_description(std::string(text)); break;
  }
  return 0;
}
