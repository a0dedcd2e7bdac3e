// Reading JSON with long lists in it: one element after the other, without a tree of the whole.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace buildwarden::engine {

// Where a list is: the names that lead to it from the root; none: the root itself.
using ListPath = std::vector<std::string_view>;

// Told of the elements of some lists.
class ListReader {
 public:
  virtual ~ListReader() = default;
  // The list at the path of that number begins. Where a document has it twice the latter counts.
  virtual void begin(std::size_t list) = 0;
  // The element lives until this returns.
  virtual void element(std::size_t list, const boost::json::value& element) = 0;
};

// As parse_json(), but the elements of the lists at `paths` go to `reader`, in their order, and leave empty lists in
// the value. What was read of a text that is an error in the end is worth nothing.
Result<boost::json::value> parse_lists(std::string_view text, const std::vector<ListPath>& paths, ListReader& reader);

}  // namespace buildwarden::engine
