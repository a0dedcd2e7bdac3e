// The smallest pieces of the API's JSON.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/time.h"
#include "common/visible_text.h"

namespace buildwarden::api {

inline boost::json::string text(std::string_view value) { return boost::json::string(as_utf8(value)); }

inline boost::json::value text_or_null(std::string_view value) {
  return value.empty() ? boost::json::value(nullptr) : boost::json::value(text(value));
}

inline boost::json::array texts(const std::vector<std::string>& values) {
  boost::json::array list;
  list.reserve(values.size());
  for (const auto& value : values) list.push_back(text(value));
  return list;
}

inline boost::json::value time_json(const std::optional<WallTime>& time) {
  return time ? boost::json::value(text(format_rfc3339(*time))) : boost::json::value(nullptr);
}

}  // namespace buildwarden::api
