#include "common/visible_text.h"

#include <algorithm>
#include <cstdint>

#include "common/format.h"

namespace buildwarden {
namespace {

// What stands at the start of a text: a character, or a byte that is no UTF-8.
struct Glyph {
  std::uint32_t code = 0;  // the character, or the byte
  std::size_t length = 1;  // bytes
  bool valid = false;
};

Glyph first_glyph(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const auto length = utf8_sequence(text);
  if (length == 0) return {byte(0), 1, false};
  static constexpr std::uint32_t kLeadBits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  Glyph glyph{byte(0) & kLeadBits[length], length, true};
  for (std::size_t i = 1; i < length; ++i) glyph.code = (glyph.code << 6U) | (byte(i) & 0x3fU);
  return glyph;
}

bool is_control(std::uint32_t code) {
  if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true;
  if (code == 0x061c || code == 0x200e || code == 0x200f) return true;
  // What shows nothing at all, so that two names look like one; joiners (U+200C, U+200D) belong to words and emoji.
  if (code == 0xad || code == 0x200b || code == 0xfeff || (code >= 0x2060 && code <= 0x2064)) return true;
  if (code >= 0xe0000 && code <= 0xe007f) return true;
  return (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

bool is_plain(char c) { return c >= ' ' && c <= '~'; }

std::string escaped(const Glyph& glyph) {
  return glyph.code < 0x80 || !glyph.valid ? format("\\x{:02x}", glyph.code) : format("\\u{:04x}", glyph.code);
}

std::string escaped_for_json(const Glyph& glyph) { return format("\\u{:04x}", glyph.code); }

// It begins as what as_utf8() writes for a byte.
bool reads_as_escape(std::string_view text) {
  if (text.size() < 4 || !text.starts_with("\\x")) return false;
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.substr(2, 2) == "5c" || (text[2] >= '8' && is_hex(text[2]) && is_hex(text[3]));
}

// `keeps`: control characters that stay; `escape`: what becomes of the others.
template <class Keeps, class Escape>
std::string replaced(std::string_view text, Keeps keeps, Escape escape) {
  if (std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
  std::string shown;
  shown.reserve(text.size() + 16);
  while (!text.empty()) {
    const auto glyph = first_glyph(text);
    const bool stays = glyph.valid && (!is_control(glyph.code) || keeps(glyph.code));
    shown += stays ? std::string(text.substr(0, glyph.length)) : escape(glyph);
    text.remove_prefix(glyph.length);
  }
  return shown;
}

}  // namespace

std::size_t utf8_sequence(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xc2 && first < 0xe0   ? 2
                             : first >= 0xe0 && first < 0xf0 ? 3
                             : first >= 0xf0 && first < 0xf5 ? 4
                                                             : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool outside = (first == 0xed && second >= 0xa0) || (first == 0xf4 && second >= 0x90);
  return overlong || outside ? 0 : length;
}

std::string as_utf8(std::string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return is_plain(c) && c != '\\'; })) return std::string(text);
  std::string shown;
  shown.reserve(text.size() + 16);
  while (!text.empty()) {
    const auto length = utf8_sequence(text);
    if (length == 0 || reads_as_escape(text)) {
      shown += format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(text[0])));
      text.remove_prefix(1);
    } else {
      shown += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return shown;
}

std::optional<std::string> first_control(std::string_view text) {
  while (!text.empty()) {
    const auto glyph = first_glyph(text);
    if (!glyph.valid) return format("byte 0x{:02x}", glyph.code);
    if (is_control(glyph.code)) return format("U+{:04X}", glyph.code);
    text.remove_prefix(glyph.length);
  }
  return std::nullopt;
}

std::string visible(std::string_view text) {
  return replaced(text, [](std::uint32_t) { return false; }, escaped);
}

std::string visible_lines(std::string_view text) {
  return replaced(text, [](std::uint32_t code) { return code == '\n' || code == '\t'; }, escaped);
}

std::string visible_json(std::string_view document) {
  return replaced(document, [](std::uint32_t code) { return code < 0x20; }, escaped_for_json);
}

}  // namespace buildwarden
