#include "daemon/api/fields.h"

#include <algorithm>
#include <boost/json/kind.hpp>
#include <boost/json/parser.hpp>
#include <boost/json/serialize.hpp>
#include <limits>
#include <string>

#include "common/format.h"
#include "common/visible_text.h"
#include "daemon/api/duplicate_key.h"
#include "daemon/api/problem.h"

namespace buildwarden::api {
namespace json = boost::json;

namespace {

constexpr std::size_t kDeepest = 8;

std::string_view kind_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_: return "a number";
    case json::kind::string: return "a string";
    case json::kind::array: return "an array";
    case json::kind::object: return "an object";
  }
  return "unknown";
}

Error bad_json(std::string_view body, std::size_t at, const std::string& why) {
  const auto before = body.substr(0, std::min(at, body.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto last = before.rfind('\n');
  const auto column = last == std::string_view::npos ? before.size() + 1 : before.size() - last;
  return {Errc::kInvalid, format("the body is not JSON at line {}, column {}: {}", line, column, why)};
}

}  // namespace

Result<json::object> parse_object(std::string_view body) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) return json::object();
  json::parse_options options;
  options.max_depth = kDeepest;
  json::parser parser({}, options);
  boost::system::error_code failed;
  const auto used = parser.write_some(body.data(), body.size(), failed);
  if (failed) return bad_json(body, used, failed.message());
  const auto rest = body.find_first_not_of(" \t\r\n", used);
  if (rest != std::string_view::npos) return bad_json(body, rest, "something follows the value");
  if (const auto twice = duplicate_key(body.substr(0, used), kDeepest)) {
    return Error(Errc::kInvalid, format("the body has the key \"{}\" twice", visible(twice->substr(0, 64))));
  }
  auto value = parser.release();
  if (!value.is_object()) {
    return Error(Errc::kInvalid, format("the body must be a JSON object, not {}", kind_of(value)));
  }
  return std::move(value.as_object());
}

const json::value* FieldReader::find(std::string_view name) {
  known_.emplace(name);
  const auto* value = object_.if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

void FieldReader::refuse(std::string_view name, std::string_view why) {
  known_.emplace(name);
  mistakes_.push_back({std::string(name), std::string(why)});
}

std::optional<std::string> FieldReader::text_of(std::string_view name, const json::value& value, std::size_t most) {
  const auto* text = value.if_string();
  if (text == nullptr) {
    refuse(name, format("must be a string, not {}", kind_of(value)));
  } else if (text->size() > most) {
    refuse(name, format("has {} bytes, at most {} are allowed", text->size(), most));
  } else if (text->find('\0') != json::string::npos) {
    refuse(name, "has a NUL character");
  } else if (const auto control = first_control(*text)) {
    refuse(name, format("has the control character {}", *control));
  } else {
    return std::string(text->data(), text->size());
  }
  return std::nullopt;
}

void FieldReader::read(std::string_view name, std::string& into, std::size_t most) {
  const auto* value = find(name);
  if (value == nullptr) return;
  auto text = text_of(name, *value, most);
  if (text) into = std::move(*text);
}

void FieldReader::read(std::string_view name, bool& into) {
  std::optional<bool> found;
  read(name, found);
  into = found.value_or(into);
}

void FieldReader::read(std::string_view name, std::optional<bool>& into) {
  const auto* value = find(name);
  if (value == nullptr) return;
  if (const auto* truth = value->if_bool()) {
    into = *truth;
  } else {
    refuse(name, format("must be true or false, not {}", kind_of(*value)));
  }
}

void FieldReader::read(std::string_view name, std::int64_t& into, std::int64_t least, std::int64_t most) {
  const auto* value = find(name);
  if (value == nullptr) return;
  const auto* number = value->if_int64();
  if (number != nullptr && *number >= least && *number <= most) {
    into = *number;
    return;
  }
  const bool bounded = most != std::numeric_limits<std::int64_t>::max();
  const auto range = bounded ? format("from {} to {}", least, most) : format("of at least {}", least);
  const auto is = value->is_number() ? json::serialize(*value) : std::string(kind_of(*value));
  refuse(name, format("must be a whole number {}, not {}", range, is));
}

void FieldReader::read(std::string_view name, std::vector<std::string>& into, std::size_t most) {
  const auto* value = find(name);
  if (value == nullptr) return;
  const auto* array = value->if_array();
  if (array == nullptr) return refuse(name, format("must be an array of strings, not {}", kind_of(*value)));
  if (array->size() > most) return refuse(name, format("has {} entries, at most {} are allowed", array->size(), most));
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < array->size(); ++i) {
    auto text = text_of(format("{}[{}]", name, i), (*array)[i], 256);
    if (text) texts.push_back(std::move(*text));
  }
  if (texts.size() == array->size()) into = std::move(texts);
}

std::vector<FieldReader::Mistake> FieldReader::finish() const {
  auto mistakes = mistakes_;
  for (const auto& [key, value] : object_) {
    const std::string_view name(key.data(), key.size());
    if (!known_.contains(name)) mistakes.push_back({as_utf8(name.substr(0, 64)), "is not known"});
  }
  return mistakes;
}

}  // namespace buildwarden::api
