#include "daemon/emulation/entry.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "common/format.h"

namespace buildwarden::emulation {
namespace {

constexpr std::size_t kLongestText = 4096;  // the kernel's own bound is a page
constexpr int kLargestOffset = 128;

std::optional<std::string> bytes_of(std::string_view hex) {
  if (hex.empty() || hex.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t at = 0; at < hex.size(); at += 2) {
    unsigned value = 0;
    const auto* end = hex.data() + at + 2;
    const auto [stopped, failed] = std::from_chars(hex.data() + at, end, value, 16);
    if (failed != std::errc() || stopped != end) return std::nullopt;
    bytes += static_cast<char>(value);
  }
  return bytes;
}

std::optional<int> number_of(std::string_view text) {
  int value = -1;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = failed == std::errc() && end == text.data() + text.size();
  return whole && value >= 0 && value <= kLargestOffset ? std::optional(value) : std::nullopt;
}

std::string_view take_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  const auto line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

// What a line says after `key`; nothing when it is another one.
std::optional<std::string_view> after(std::string_view line, std::string_view key) {
  if (!line.starts_with(key)) return std::nullopt;
  return line.substr(key.size());
}

// False: the line says something that cannot be.
bool read_line(std::string_view line, policy::BinfmtEntry& entry, bool& by_extension) {
  if (const auto path = after(line, "interpreter ")) {
    entry.interpreter = *path;
    return path->starts_with('/');
  }
  if (const auto letters = after(line, "flags:")) {
    entry.flags = letters->starts_with(' ') ? letters->substr(1) : *letters;
    return std::all_of(entry.flags.begin(), entry.flags.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  }
  if (after(line, "extension ")) by_extension = true;
  if (const auto offset = after(line, "offset ")) {
    const auto value = number_of(*offset);
    entry.offset = value.value_or(0);
    return value.has_value();
  }
  for (auto [key, into] : {std::pair{"magic ", &entry.magic}, std::pair{"mask ", &entry.mask}}) {
    const auto hex = after(line, key);
    if (!hex) continue;
    const auto bytes = bytes_of(*hex);
    *into = bytes.value_or("");
    return bytes.has_value();
  }
  return true;
}

}  // namespace

Result<policy::BinfmtEntry> parse_entry(std::string name, std::string_view text) {
  policy::BinfmtEntry entry;
  entry.name = std::move(name);
  const auto broken = [&](std::string_view why) {
    return Error(Errc::kProtocol, format("the entry {} of binfmt_misc {}", entry.name, why));
  };
  if (text.size() > kLongestText) return broken("is longer than the kernel makes them");
  const auto first = take_line(text);
  if (first != "enabled" && first != "disabled") return broken("does not begin with enabled or disabled");
  entry.enabled = first == "enabled";
  bool by_extension = false;
  while (!text.empty()) {
    const auto line = take_line(text);
    if (!read_line(line, entry, by_extension)) return broken(format("has the line \"{}\"", line.substr(0, 80)));
  }
  if (entry.interpreter.empty()) return broken("has no interpreter");
  if (by_extension == !entry.magic.empty()) return broken("has neither a magic nor an extension, or both");
  if (entry.mask.empty()) entry.mask.assign(entry.magic.size(), '\xff');
  if (entry.mask.size() != entry.magic.size()) return broken("has a mask that is not as long as its magic");
  return entry;
}

}  // namespace buildwarden::emulation
