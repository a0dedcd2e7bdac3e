// Text of JSON that others wrote.
#pragma once

#include <boost/json.hpp>
#include <string>

namespace buildwarden::builders {

// "" of what is missing or no string.
inline std::string text_of(const boost::json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  const auto* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

}  // namespace buildwarden::builders
