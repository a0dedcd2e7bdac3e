// Reading a request's JSON strictly: every mistake is found and named, at once.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "common/units.h"

namespace buildwarden::api {

// The body as an object; an empty body is an empty object. kInvalid with line and column of what is no JSON, with what
// it is instead of an object, or with the key that stands twice in one object: which of both counts is for nobody to
// guess.
Result<boost::json::object> parse_object(std::string_view body);

// Takes each known member of an object; finish() tells of the wrong and of the unknown ones. A member that is null
// counts as absent. A text with a control character in it (visible_text.h) is a mistake: texts end up in logs and on
// terminals. `object` outlives the reader.
class FieldReader {
 public:
  explicit FieldReader(const boost::json::object& object) : object_(object) {}

  // Each leaves `into` alone when the member is absent or wrong.
  void read(std::string_view name, std::string& into, std::size_t most = 4096);
  void read(std::string_view name, bool& into);
  void read(std::string_view name, std::optional<bool>& into);
  // Whole, within [least, most].
  void read(std::string_view name, std::int64_t& into, std::int64_t least, std::int64_t most);
  void read(std::string_view name, std::vector<std::string>& into, std::size_t most = 64);
  // A mistake that the caller found.
  void refuse(std::string_view name, std::string_view why);

  struct Mistake {
    std::string field;
    std::string why;
  };
  // All mistakes, unknown members last; empty when the object is good.
  [[nodiscard]] std::vector<Mistake> finish() const;

 private:
  const boost::json::value* find(std::string_view name);
  std::optional<std::string> text_of(std::string_view name, const boost::json::value& value, std::size_t most);

  const boost::json::object& object_;
  std::set<std::string, std::less<>> known_;
  std::vector<Mistake> mistakes_;
};

}  // namespace buildwarden::api
