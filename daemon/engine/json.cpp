#include "daemon/engine/json.h"

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>
#include <boost/system/error_code.hpp>
#include <optional>
#include <utility>

#include "common/format.h"

namespace buildwarden::engine {
namespace json = boost::json;

namespace {

const json::value kNull;

std::optional<std::int64_t> as_number(const json::value& value) {
  boost::system::error_code ec;
  const auto number = value.to_number<std::int64_t>(ec);  // also of a float without a fraction
  if (ec) return std::nullopt;
  return number;
}

}  // namespace

Result<json::value> parse_json(std::string_view text) {
  boost::system::error_code ec;
  // Nothing of it is changed or freed before the whole is: half the time of a long list goes into that otherwise.
  auto memory = json::make_shared_resource<json::monotonic_resource>();
  auto value = json::parse(json::string_view(text.data(), text.size()), ec, std::move(memory));
  if (ec) return Error(Errc::kProtocol, "not JSON: " + ec.message());
  return value;
}

FieldReader::FieldReader(const json::value& value, std::string_view what) : object_(value.if_object()), what_(what) {
  if (object_ == nullptr) fail("is not an object");
}

const json::value* FieldReader::find(std::string_view name) const {
  if (object_ == nullptr) return nullptr;
  const auto* found = object_->if_contains(json::string_view(name.data(), name.size()));
  return found == nullptr || found->is_null() ? nullptr : found;
}

const json::value& FieldReader::member(std::string_view name) {
  const auto* found = find(name);
  if (found != nullptr) return *found;
  fail(format("has no {}", name));
  return kNull;
}

std::string FieldReader::text(std::string_view name) {
  const auto& value = member(name);
  const auto* found = value.if_string();
  if (found != nullptr) return std::string(found->data(), found->size());
  fail(format("has a {} that is not a text", name));
  return {};
}

std::string FieldReader::name(std::string_view name) {
  auto found = text(name);
  if (found.empty()) fail(format("has an empty {}", name));
  return found;
}

std::int64_t FieldReader::number(std::string_view name) {
  const auto found = as_number(member(name));
  if (!found) fail(format("has a {} that is not a whole number", name));
  return found.value_or(0);
}

bool FieldReader::flag(std::string_view name) {
  const auto* found = member(name).if_bool();
  if (found == nullptr) fail(format("has a {} that is neither true nor false", name));
  return found != nullptr && *found;
}

std::string FieldReader::optional_text(std::string_view name) {
  return find(name) == nullptr ? std::string() : text(name);
}

std::int64_t FieldReader::optional_number(std::string_view name) { return find(name) == nullptr ? 0 : number(name); }

std::vector<std::string> FieldReader::optional_list(std::string_view name) {
  std::vector<std::string> texts;
  const auto* found = find(name);
  if (found == nullptr) return texts;
  const auto* array = found->if_array();
  if (array == nullptr) fail(format("has {} that are not a list", name));
  if (array == nullptr) return texts;
  for (const auto& item : *array) {
    const auto* text = item.if_string();
    if (text == nullptr) fail(format("has {} that are not texts", name));
    if (text != nullptr) texts.emplace_back(text->data(), text->size());
  }
  return texts;
}

std::map<std::string, std::string> FieldReader::optional_texts(std::string_view name) {
  std::map<std::string, std::string> texts;
  const auto* found = find(name);
  if (found == nullptr) return texts;
  const auto* object = found->if_object();
  if (object == nullptr) fail(format("has {} that are not an object", name));
  if (object == nullptr) return texts;
  for (const auto& member : *object) {
    const auto* value = member.value().if_string();
    if (value == nullptr) fail(format("has {} that are not texts", name));
    if (value != nullptr) texts.emplace(std::string(member.key()), std::string(value->data(), value->size()));
  }
  return texts;
}

void FieldReader::fail(std::string_view why) {
  if (failure_.empty()) failure_ = format("{} {}", what_, why);
}

Result<void> FieldReader::result() const {
  if (failure_.empty()) return {};
  return Error(Errc::kProtocol, failure_);
}

}  // namespace buildwarden::engine
