#include "config/text.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/format.h"

namespace buildwarden::config {
namespace {

constexpr std::size_t kMaxShown = 60;

bool printable(char c) { return c >= ' ' && c <= '~'; }

bool bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_./:@%+-=").find(c) != std::string_view::npos;
}

// The length of the UTF-8 sequence that `lead` begins, 0 when it begins none.
std::size_t sequence_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}

// Overlong forms, surrogates and what lies beyond U+10FFFF, all told by the second byte.
bool second_byte_fits(unsigned char lead, unsigned char second) {
  if (lead == 0xE0) return second >= 0xA0;
  if (lead == 0xED) return second < 0xA0;
  if (lead == 0xF0) return second >= 0x90;
  if (lead == 0xF4) return second < 0x90;
  return true;
}

}  // namespace

// To the last @, since a password may hold one that is not encoded.
std::string without_login(std::string_view address) {
  const auto at = address.rfind('@');
  if (at == std::string_view::npos) return std::string(address);
  const auto scheme = address.find("://");
  const auto begin = scheme == std::string_view::npos || scheme > at ? 0 : scheme + 3;
  return format("{}***{}", address.substr(0, begin), address.substr(at));
}

std::string shown(std::string_view text) {
  std::string safe = "\"";
  for (const char c : text.substr(0, kMaxShown)) {
    safe += printable(c) ? std::string(1, c) : format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return safe + (text.size() > kMaxShown ? "…\"" : "\"");
}

std::string yaml_spelling(std::string_view text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), bare) && text.front() != '@' &&
                     text.front() != '%' && text.front() != '-' && text.front() != ':' && text.back() != ':';
  if (plain) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

bool is_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t length = sequence_length(lead);
    if (length == 0 || at + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[at + k]);
      if ((next & 0xC0U) != 0x80U) return false;
      if (k == 1 && !second_byte_fits(lead, next)) return false;
    }
    at += length;
  }
  return true;
}

}  // namespace buildwarden::config
