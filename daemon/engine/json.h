// Reading JSON that another program wrote: every field is asked for by name and type, nothing throws. Pure.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace buildwarden::engine {

// kProtocol: not JSON (or nested deeper than 32).
Result<boost::json::value> parse_json(std::string_view text);

// Reads fields of one object and remembers the first that was missing or of another type; then every further answer is
// empty. So a decoder reads all it wants and asks once whether that was right.
class FieldReader {
 public:
  // `value` lives longer. `what` names it in the error: "image".
  FieldReader(const boost::json::value& value, std::string_view what);

  std::string text(std::string_view name);
  // A text that is not empty: what a thing is called.
  std::string name(std::string_view name);
  std::int64_t number(std::string_view name);
  bool flag(std::string_view name);
  // The member, which must be there; a null value after a failure.
  const boost::json::value& member(std::string_view name);

  // Absent and null are "", 0, {}.
  std::string optional_text(std::string_view name);
  std::int64_t optional_number(std::string_view name);
  std::vector<std::string> optional_list(std::string_view name);  // of texts
  std::map<std::string, std::string> optional_texts(std::string_view name);
  // nullptr when absent or null.
  const boost::json::value* find(std::string_view name) const;

  void fail(std::string_view why);
  [[nodiscard]] Result<void> result() const;

 private:
  const boost::json::object* object_ = nullptr;
  std::string what_;
  std::string failure_;
};

}  // namespace buildwarden::engine
