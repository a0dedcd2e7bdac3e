#include "daemon/api/duplicate_key.h"

#include <boost/json/basic_parser_impl.hpp>
#include <set>
#include <utility>
#include <vector>

namespace buildwarden::api {
namespace json = boost::json;

namespace {

using Text = json::string_view;
using Failed = json::error_code;

// Boost.JSON's handler of parse events (its documentation: basic_parser); all but keys go by.
class KeyWatcher {
 public:
  // NOLINTBEGIN(readability-identifier-naming): the names that Boost.JSON asks for
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  // NOLINTEND(readability-identifier-naming)

  bool on_object_begin(Failed&) {
    open_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, Failed&) {
    open_.pop_back();
    return true;
  }
  bool on_key_part(Text part, std::size_t, Failed&) {
    key_.append(part.data(), part.size());
    return true;
  }
  bool on_key(Text part, std::size_t, Failed&) {
    key_.append(part.data(), part.size());
    const bool is_new = open_.back().insert(key_).second;
    if (!is_new && !twice_) twice_ = key_;
    key_.clear();
    return true;
  }
  bool on_document_begin(Failed&) { return true; }
  bool on_document_end(Failed&) { return true; }
  bool on_array_begin(Failed&) { return true; }
  bool on_array_end(std::size_t, Failed&) { return true; }
  bool on_string_part(Text, std::size_t, Failed&) { return true; }
  bool on_string(Text, std::size_t, Failed&) { return true; }
  bool on_number_part(Text, Failed&) { return true; }
  bool on_int64(std::int64_t, Text, Failed&) { return true; }
  bool on_uint64(std::uint64_t, Text, Failed&) { return true; }
  bool on_double(double, Text, Failed&) { return true; }
  bool on_bool(bool, Failed&) { return true; }
  bool on_null(Failed&) { return true; }
  bool on_comment_part(Text, Failed&) { return true; }
  bool on_comment(Text, Failed&) { return true; }

  [[nodiscard]] const std::optional<std::string>& twice() const { return twice_; }

 private:
  std::vector<std::set<std::string>> open_;  // the keys of the objects that are not closed yet
  std::string key_;
  std::optional<std::string> twice_;
};

}  // namespace

std::optional<std::string> duplicate_key(std::string_view document, std::size_t deepest) {
  json::parse_options options;
  options.max_depth = deepest;
  json::basic_parser<KeyWatcher> parser(options);
  Failed failed;
  parser.write_some(false, document.data(), document.size(), failed);
  if (failed) return std::nullopt;
  return parser.handler().twice();
}

}  // namespace buildwarden::api
