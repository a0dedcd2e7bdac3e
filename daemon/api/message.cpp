#include "daemon/api/message.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/format.h"
#include "common/visible_text.h"

namespace buildwarden::api {
namespace {

char lower(char character) {
  return character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a') : character;
}

Result<std::string> decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    unsigned value = 0;
    const auto digits = text.substr(i + 1, 2);
    const auto [end, failed] = std::from_chars(digits.begin(), digits.end(), value, 16);
    if (digits.size() != 2 || failed != std::errc() || end != digits.end()) {
      return Error(Errc::kInvalid, format("the target has a bad percent escape at byte {}", i));
    }
    decoded += static_cast<char>(value);
    i += 2;
  }
  if (const auto control = first_control(decoded)) {
    return Error(Errc::kInvalid, format("the target has the control character {}", *control));
  }
  return decoded;
}

Result<std::map<std::string, std::string>> parse_query(std::string_view text) {
  std::map<std::string, std::string> query;
  while (!text.empty()) {
    auto value = take_until(text, '&');
    const auto name = take_until(value, '=');
    if (name.empty()) continue;
    auto decoded_name = decode(name);
    if (!decoded_name) return std::move(decoded_name).error();
    auto decoded_value = decode(value);
    if (!decoded_value) return std::move(decoded_value).error();
    query[*std::move(decoded_name)] = *std::move(decoded_value);
  }
  return query;
}

constexpr std::array<std::pair<int, std::string_view>, 26> kStatusTexts = {{
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {411, "Length Required"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {421, "Misdirected Request"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
    {429, "Too Many Requests"},
    {414, "URI Too Long"},
    {100, "Continue"},
}};

}  // namespace

std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string_view take_until(std::string_view& rest, char separator) {
  const auto end = rest.find(separator);
  const auto part = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return part;
}

std::string path_segment(std::string_view text) {
  std::string segment;
  for (const char one : text) {
    const bool is_plain = (one >= 'a' && one <= 'z') || (one >= 'A' && one <= 'Z') || (one >= '0' && one <= '9') ||
                          one == '-' || one == '.' || one == '_' || one == '~';
    segment += is_plain ? std::string(1, one) : format("%{:02X}", static_cast<unsigned char>(one));
  }
  return segment;
}

bool equals_ignoring_case(std::string_view one, std::string_view other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

std::string_view Request::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equals_ignoring_case(key, name)) return value;
  }
  return {};
}

bool Request::accepts(std::string_view media_type) const {
  std::string_view rest = header("Accept");
  while (!rest.empty()) {
    auto one = take_until(rest, ',');
    if (equals_ignoring_case(trim_blanks(take_until(one, ';')), media_type)) return true;
  }
  return false;
}

Result<Target> parse_target(std::string_view text) {
  const auto scheme = text.find("://");
  if (!text.starts_with('/') && scheme != std::string_view::npos) {
    const auto path = text.find_first_of("/?", scheme + 3);
    text = path == std::string_view::npos ? "/" : text.substr(path);
  }
  auto path = take_until(text, '?');
  if (!path.starts_with('/')) return Error(Errc::kInvalid, "the target is no path");
  auto decoded = decode(path);
  if (!decoded) return std::move(decoded).error();
  auto query = parse_query(text);
  if (!query) return std::move(query).error();
  return Target{*std::move(decoded), *std::move(query)};
}

std::string_view status_text(int status) {
  for (const auto& [number, text] : kStatusTexts) {
    if (number == status) return text;
  }
  return "Error";
}

std::string http_date(WallTime time) {
  static constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  return format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[std::chrono::weekday(day).c_encoding()],
                static_cast<unsigned>(date.day()), kMonths[static_cast<unsigned>(date.month()) - 1],
                static_cast<int>(date.year()), clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

}  // namespace buildwarden::api
