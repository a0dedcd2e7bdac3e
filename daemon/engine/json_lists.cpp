#include "daemon/engine/json_lists.h"

#include <algorithm>
#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/value_stack.hpp>
#include <boost/system/error_code.hpp>
#include <cstdint>
#include <string>
#include <utility>

namespace buildwarden::engine {
namespace json = boost::json;

namespace {

constexpr std::size_t kElement = 16'384;  // bytes of memory; larger ones get more

// What Boost.JSON's own parser does, but an element of a list gets a value of its own, in memory that the next one uses
// again. The names of the functions are the library's.
class Elements {
 public:
  static constexpr std::size_t max_object_size = json::object::max_size();  // NOLINT(readability-identifier-naming)
  static constexpr std::size_t max_array_size = json::array::max_size();    // NOLINT(readability-identifier-naming)
  static constexpr std::size_t max_key_size = json::string::max_size();     // NOLINT(readability-identifier-naming)
  static constexpr std::size_t max_string_size = json::string::max_size();  // NOLINT(readability-identifier-naming)
  using Code = boost::system::error_code;

  Elements(const std::vector<ListPath>& paths, ListReader& reader) : paths_(paths), reader_(reader) {
    rest_.reset(json::make_shared_resource<json::monotonic_resource>());
  }
  json::value release() { return rest_.release(); }

  static bool on_document_begin(Code& /*ec*/) { return true; }
  static bool on_document_end(Code& /*ec*/) { return true; }
  bool on_object_begin(Code& /*ec*/) {
    ++depth_;
    return true;
  }
  bool on_object_end(std::size_t size, Code& /*ec*/) {
    --depth_;
    stack().push_object(size);
    return complete();
  }
  bool on_array_begin(Code& /*ec*/) {
    const auto path = in_list_ ? paths_.end() : std::find_if(paths_.begin(), paths_.end(), [this](const auto& one) {
      return one.size() == depth_ && std::equal(one.begin(), one.end(), names_.begin(), names_.end());
    });
    ++depth_;
    if (path == paths_.end()) return true;
    in_list_ = true;
    list_ = static_cast<std::size_t>(path - paths_.begin());
    list_depth_ = depth_;
    element_.reset(&memory_);
    reader_.begin(list_);
    return true;
  }
  bool on_array_end(std::size_t size, Code& /*ec*/) {
    const bool ends_list = in_list_ && depth_ == list_depth_;
    --depth_;
    if (ends_list) in_list_ = false;
    stack().push_array(ends_list ? 0 : size);
    return complete();
  }
  bool on_key_part(json::string_view part, std::size_t /*size*/, Code& /*ec*/) {
    stack().push_chars(part);
    if (!in_list_) name_.append(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, std::size_t /*size*/, Code& /*ec*/) {
    stack().push_key(part);
    if (in_list_) return true;
    name_.append(part.data(), part.size());
    names_.resize(depth_ - 1);
    names_.push_back(std::exchange(name_, std::string()));
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t /*size*/, Code& /*ec*/) {
    stack().push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t /*size*/, Code& /*ec*/) {
    stack().push_string(part);
    return complete();
  }
  static bool on_number_part(json::string_view /*part*/, Code& /*ec*/) { return true; }
  bool on_int64(std::int64_t number, json::string_view /*text*/, Code& /*ec*/) {
    stack().push_int64(number);
    return complete();
  }
  bool on_uint64(std::uint64_t number, json::string_view /*text*/, Code& /*ec*/) {
    stack().push_uint64(number);
    return complete();
  }
  bool on_double(double number, json::string_view /*text*/, Code& /*ec*/) {
    stack().push_double(number);
    return complete();
  }
  bool on_bool(bool flag, Code& /*ec*/) {
    stack().push_bool(flag);
    return complete();
  }
  bool on_null(Code& /*ec*/) {
    stack().push_null();
    return complete();
  }
  static bool on_comment_part(json::string_view /*part*/, Code& /*ec*/) { return true; }
  static bool on_comment(json::string_view /*part*/, Code& /*ec*/) { return true; }

 private:
  json::value_stack& stack() { return in_list_ ? element_ : rest_; }

  // A value is complete: where it is an element, it is told of, and its memory is free for the next.
  bool complete() {
    if (!in_list_ || depth_ != list_depth_) return true;
    {
      const auto element = element_.release();
      reader_.element(list_, element);
    }
    memory_.release();
    element_.reset(&memory_);
    return true;
  }

  const std::vector<ListPath>& paths_;
  ListReader& reader_;
  json::value_stack rest_;
  std::array<unsigned char, kElement> buffer_{};
  json::monotonic_resource memory_{buffer_.data(), buffer_.size()};
  json::value_stack element_;
  std::string name_;                // as far as it has come
  std::vector<std::string> names_;  // outside of the lists: the last one of each level
  std::size_t depth_ = 0;
  std::size_t list_depth_ = 0;
  std::size_t list_ = 0;
  bool in_list_ = false;
};

}  // namespace

Result<json::value> parse_lists(std::string_view text, const std::vector<ListPath>& paths, ListReader& reader) {
  json::basic_parser<Elements> parser(json::parse_options{}, paths, reader);
  boost::system::error_code ec;
  const auto used = parser.write_some(false, text.data(), text.size(), ec);
  if (!ec && used < text.size()) ec = json::error::extra_data;
  if (ec) return Error(Errc::kProtocol, "not JSON: " + ec.message());
  return parser.handler().release();
}

}  // namespace buildwarden::engine
