// What several decoders read alike. Pure.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <string_view>
#include <vector>

#include "common/format.h"
#include "common/result.h"
#include "daemon/engine/json.h"
#include "daemon/policy/builder.h"

namespace buildwarden::engine {

// A list is right as a whole, or an error.
template <class T>
Result<std::vector<T>> read_list(const boost::json::value& root, Result<T> (*read)(const boost::json::value&)) {
  const auto* array = root.if_array();
  if (array == nullptr) return Error(Errc::kProtocol, "not a list");
  std::vector<T> records;
  records.reserve(array->size());
  for (const auto& item : *array) {
    auto record = read(item);
    if (!record) return std::move(record).error().with_context(format("record {}", records.size() + 1));
    records.push_back(*std::move(record));
  }
  return records;
}

// A container's state by its name; one that is not known fails the reader.
policy::ContainerState read_state(FieldReader& fields, std::string_view name);

// RFC 3339; Go's zero time is a time long ago.
WallTime read_time(FieldReader& fields, std::string_view name);

}  // namespace buildwarden::engine
