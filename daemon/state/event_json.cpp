#include "daemon/state/event_json.h"

#include <boost/json.hpp>
#include <cmath>
#include <optional>

namespace buildwarden::state {
namespace json = boost::json;

namespace {

json::value value_of(const ports::Field& field) {
  if (const auto* number = std::get_if<std::int64_t>(&field)) return *number;
  if (const auto* number = std::get_if<double>(&field)) return std::isfinite(*number) ? json::value(*number) : nullptr;
  if (const auto* truth = std::get_if<bool>(&field)) return *truth;
  return json::value(std::get<std::string>(field));
}

std::optional<ports::Field> field_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::int64: return value.get_int64();
    case json::kind::double_: return value.get_double();
    case json::kind::bool_: return value.get_bool();
    case json::kind::string: return std::string(value.get_string());
    case json::kind::null: return std::nan("");
    default: return std::nullopt;
  }
}

}  // namespace

std::string write_fields(const Fields& fields) {
  json::object object;
  for (const auto& [name, field] : fields) object[name] = value_of(field);
  return json::serialize(object);
}

Fields read_fields(std::string_view text) {
  json::parse_options options;
  options.allow_invalid_utf8 = true;  // fields quote what others sent
  json::error_code failure;
  const auto value = json::parse(json::string_view(text.data(), text.size()), failure, {}, options);
  Fields fields;
  const auto* const object = failure ? nullptr : value.if_object();
  if (object == nullptr) return fields;
  for (const auto& [name, one] : *object) {
    auto field = field_of(one);
    if (field) fields.emplace_back(std::string(name), *std::move(field));
  }
  return fields;
}

}  // namespace buildwarden::state
