// Fields of the documents that this room writes and reads back. Each throws what Boost.JSON throws for a missing key or
// a wrong type: the reader of the whole document catches it.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "common/format.h"
#include "common/result.h"

namespace buildwarden::state {

inline std::string text_at(const boost::json::object& object, const char* key) {
  return boost::json::value_to<std::string>(object.at(key));
}

template <class Number>
Number number_at(const boost::json::object& object, const char* key) {
  return object.at(key).to_number<Number>();
}

// kInvalid when the document's "version" is not `known`.
inline Result<void> check_version(const boost::json::object& object, std::int64_t known) {
  const auto version = number_at<std::int64_t>(object, "version");
  if (version != known) return Error(Errc::kInvalid, format("version {} is not {}", version, known));
  return {};
}

}  // namespace buildwarden::state
