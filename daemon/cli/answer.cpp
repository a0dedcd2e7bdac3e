#include "daemon/cli/answer.h"

#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <cmath>

#include "common/units.h"

namespace buildwarden::cli {
namespace json = boost::json;

const json::value& member(const json::value& value, std::string_view key) {
  static const json::value none;
  const auto* object = value.if_object();
  if (object == nullptr) return none;
  const auto* found = object->if_contains(key);
  return found == nullptr ? none : *found;
}

const json::array& list(const json::value& value, std::string_view key) {
  static const json::array none;
  const auto* array = member(value, key).if_array();
  return array == nullptr ? none : *array;
}

std::string text(const json::value& value, std::string_view key) {
  const auto* string = member(value, key).if_string();
  return string == nullptr ? std::string() : std::string(string->data(), string->size());
}

std::optional<std::int64_t> number(const json::value& value, std::string_view key) {
  const auto& found = member(value, key);
  if (const auto* whole = found.if_int64()) return *whole;
  const auto* real = found.if_double();
  constexpr double kBound = 9e18;  // beyond it the conversion is undefined
  if (real == nullptr || !std::isfinite(*real) || std::fabs(*real) > kBound) return std::nullopt;
  return static_cast<std::int64_t>(std::llround(*real));
}

std::optional<double> real(const json::value& value, std::string_view key) {
  const auto& found = member(value, key);
  if (!found.is_number()) return std::nullopt;
  return found.to_number<double>();
}

bool truth(const json::value& value, std::string_view key) {
  const auto* found = member(value, key).if_bool();
  return found != nullptr && *found;
}

std::string size(const json::value& value, std::string_view key) {
  const auto bytes = number(value, key);
  return bytes ? format_bytes(*bytes) : "-";
}

}  // namespace buildwarden::cli
