#include "daemon/cli/stack_lines.h"

#include <string_view>

#include "common/format.h"

namespace buildwarden::cli {
namespace {

struct Scaled {
  std::string number;
  std::string letter;  // "" for ones
};

Scaled scaled(std::int64_t value) {
  constexpr std::string_view kLetters = "KMGTPE";
  constexpr std::int64_t kStep = 1024;
  if (value < kStep) return {format("{}", value), ""};
  std::int64_t unit = kStep;
  std::size_t power = 0;
  while (value / unit >= kStep && power + 1 < kLetters.size()) {
    unit *= kStep;
    ++power;
  }
  const auto up = [](std::int64_t part, std::int64_t of) { return part / of + (part % of > 0 ? 1 : 0); };
  const auto tenths = value / unit * 10 + up(value % unit * 10, unit);
  constexpr std::int64_t kTen = 100;
  if (tenths < kTen) return {format("{}.{}", tenths / 10, tenths % 10), std::string(1, kLetters[power])};
  const auto whole = up(value, unit);
  if (whole < kStep || power + 1 == kLetters.size()) return {format("{}", whole), std::string(1, kLetters[power])};
  return {"1.0", std::string(1, kLetters[power + 1])};
}

constexpr Bytes kBlock = 1024;

std::string cutoff(Bytes free, Bytes wanted) {
  return format("{} ({}KB) available, cutoff is {} ({}KB)", numfmt_size(free / kBlock * kBlock), free / kBlock,
                numfmt_size(wanted), wanted / kBlock);
}

}  // namespace

std::string df_size(std::int64_t value) {
  const auto size = scaled(value);
  return size.number + size.letter;
}

std::string numfmt_size(Bytes value) {
  const auto size = scaled(value);
  return size.number + (size.letter.empty() ? "B" : size.letter + "iB");
}

StackLines stack_lines(const DiskFinding& finding, bool purged) {
  StackLines lines;
  lines.out = format("Disk space free: {}\n", df_size(finding.free));
  if (finding.lacks_bytes()) {
    lines.err = format("Not enough disk space free: {} 🚨\n", cutoff(finding.free, finding.wanted));
    lines.err += purged ? "Insufficient disk space remaining after all that may go was deleted, idle builds among it.\n"
                        : "Insufficient disk space. Build purge not enabled.\n";
    return lines;
  }
  lines.out += format("Inodes free: {}\n", df_size(finding.free_inodes));
  if (finding.lacks_inodes()) {
    lines.err =
        format("Not enough inodes free: {} available, cutoff is {} 🚨\n", finding.free_inodes, finding.wanted_inodes);
  }
  return lines;
}

}  // namespace buildwarden::cli
