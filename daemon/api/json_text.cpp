#include "daemon/api/json_text.h"

#include <array>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cmath>

namespace buildwarden::api {
namespace json = boost::json;

namespace {

void append_number(std::string& text, double number) {
  if (!std::isfinite(number)) {
    text += "null";
    return;
  }
  const auto size = std::fabs(number);
  const bool is_plain = number == 0 || (size >= 1e-9 && size < 1e17);
  std::array<char, 64> digits{};  // of a plain one at most 17 before and 26 after the point
  const auto [end, failed] = std::to_chars(digits.data(), digits.data() + digits.size(), number,
                                           is_plain ? std::chars_format::fixed : std::chars_format::scientific);
  text.append(digits.data(), end);
}

// Our own answers: they are a few levels deep.
void append(std::string& text, const json::value& value) {  // NOLINT(misc-no-recursion)
  if (const auto* number = value.if_double()) return append_number(text, *number);
  if (const auto* object = value.if_object()) {
    char before = '{';
    for (const auto& [name, member] : *object) {
      text += before;
      text += json::serialize(json::string_view(name));
      text += ':';
      append(text, member);
      before = ',';
    }
    text += object->empty() ? "{}" : "}";
    return;
  }
  if (const auto* array = value.if_array()) {
    char before = '[';
    for (const auto& element : *array) {
      text += before;
      append(text, element);
      before = ',';
    }
    text += array->empty() ? "[]" : "]";
    return;
  }
  text += json::serialize(value);
}

}  // namespace

std::string json_text(const json::value& value) {
  std::string text;
  append(text, value);
  return text;
}

}  // namespace buildwarden::api
