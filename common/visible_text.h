// Foreign text made safe for terminals, logs, labels and JSON: nothing in it drives a terminal, ends a line or reads as
// other than it is. A control character is here one of C0 and C1 (ECMA-48; 0x9b alone begins a sequence on some
// terminals), DEL, a bidirectional control (Unicode UAX #9), a separator of lines or paragraphs (U+2028, U+2029), or a
// character that shows nothing (U+00AD, U+200B, U+2060 to U+2064, U+FEFF, the tags from U+E0000).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace buildwarden {

// The length in bytes of the valid UTF-8 sequence at the start of `text`; 0 when there is none.
[[nodiscard]] std::size_t utf8_sequence(std::string_view text);

// The first control character of `text` as "U+202E", or the first byte that is no UTF-8 as "byte 0x9b"; nothing when
// all of it may be shown as it is.
[[nodiscard]] std::optional<std::string> first_control(std::string_view text);

// `text` as UTF-8, for labels and JSON: each byte that is no UTF-8 as "\x9b", and a backslash that such an escape might
// begin with as "\x5c". Two different texts never become the same, and UTF-8 without "\x80" to "\xff" or "\x5c" in it
// stays as it is.
[[nodiscard]] std::string as_utf8(std::string_view text);

// `text` with each control character as "\x1b" or "\u202e", and each byte that is no UTF-8 as "\x9b".
[[nodiscard]] std::string visible(std::string_view text);

// The same, but for ends of lines and tabs, which stay: for texts of many lines of our own.
[[nodiscard]] std::string visible_lines(std::string_view text);

// A JSON document for a terminal: control characters beyond ASCII as "\u202e". It says the same as before.
[[nodiscard]] std::string visible_json(std::string_view document);

}  // namespace buildwarden
