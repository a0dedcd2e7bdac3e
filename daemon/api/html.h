// HTML in which text from outside cannot become markup: whatever is put into it is escaped, unless it is Markup itself.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "common/format.h"

namespace buildwarden::api {

// For element content and for attribute values in either kind of quotes: & < > " ' are escaped; bytes that are no UTF-8
// are shown as as_utf8() has them, control characters (but for tab and line feed) become U+FFFD.
std::string escape_html(std::string_view text);

class Markup;

namespace detail {

std::string_view as_html(const Markup& markup);
inline std::string as_html(std::string_view text) { return escape_html(text); }
template <class Number>
  requires std::is_arithmetic_v<Number>
Number as_html(Number number) {
  return number;
}
template <class Part>
using AsHtml = decltype(as_html(std::declval<const Part&>()));

}  // namespace detail

// Made by html() alone.
class Markup {
 public:
  Markup() = default;
  Markup& operator+=(const Markup& more) {
    text_ += more.text_;
    return *this;
  }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool empty() const { return text_.empty(); }

 private:
  explicit Markup(std::string text) : text_(std::move(text)) {}
  template <class... Parts>
  friend Markup html(FormatString<detail::AsHtml<Parts>...> skeleton, const Parts&... parts);
  std::string text_;
};

inline std::string_view detail::as_html(const Markup& markup) { return markup.text(); }

// format() of a skeleton that is known when this is compiled, and of parts that are escaped.
template <class... Parts>
Markup html(FormatString<detail::AsHtml<Parts>...> skeleton, const Parts&... parts) {
  return Markup(buildwarden::format(skeleton, detail::as_html(parts)...));
}

}  // namespace buildwarden::api
