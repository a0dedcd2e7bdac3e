// The small pieces that the page is made of.
#include <chrono>
#include <cstdlib>

#include "daemon/api/page.h"

namespace buildwarden::api {

Markup name_html(std::string_view name) { return html("<bdi>{}</bdi>", name); }

Markup size_html(Bytes bytes) { return html("<data value=\"{}\">{}</data>", bytes, format_bytes(bytes)); }

std::string brief(Duration duration) {
  const auto seconds = std::abs(duration.count()) / 1000;
  if (seconds < 60) return format("{} s", seconds);
  if (seconds < 3600) return format("{} min", seconds / 60);
  const auto minutes = seconds / 60 % 60;
  if (seconds < 86'400) {
    return minutes == 0 ? format("{} h", seconds / 3600) : format("{} h {} min", seconds / 3600, minutes);
  }
  return format("{} d", seconds / 86'400);
}

std::string when_text(WallTime at, Now now) {
  const auto since = now.wall - at;
  return since >= Duration{0} ? format("{} ago", brief(since)) : format("in {}", brief(since));
}

Markup when_html(WallTime at, Now now) {
  return html("<time datetime=\"{}\">{}</time>", format_rfc3339(at), when_text(at, now));
}

Markup pill_html(std::string_view word, std::string_view mood) {
  return html("<span class=\"pill {}\">{}</span>", mood, word);
}

Markup section_html(std::string_view id, std::string_view heading, std::string_view hint, const Markup& body) {
  return html(
      "<section id=\"{}\" data-part aria-labelledby=\"{}-heading\"><h2 id=\"{}-heading\">{} <small>{}</small></h2>{}"
      "</section>\n",
      id, id, id, heading, hint, body);
}

Markup table_html(std::string_view style, std::initializer_list<std::string_view> columns, const Markup& rows) {
  Markup heads;
  for (const auto column : columns) heads += html("<th role=\"columnheader\" scope=\"col\">{}</th>", column);
  return html(
      "<table role=\"table\" class=\"{}\"><thead role=\"rowgroup\"><tr role=\"row\">{}</tr></thead>"
      "<tbody role=\"rowgroup\">{}</tbody></table>",
      style, heads, rows);
}

Markup cell_html(std::string_view label, const Markup& body) {
  return html("<td role=\"cell\" data-label=\"{}\">{}</td>", label, body);
}

}  // namespace buildwarden::api
