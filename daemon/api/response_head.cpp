#include "daemon/api/response_head.h"

#include <algorithm>
#include <utility>

#include "common/format.h"

namespace buildwarden::api {
namespace {

// Seconds. Places come free as soon as a client goes.
constexpr std::string_view kRetryAfter = "1";

bool ends_a_line(char c) { return c == '\r' || c == '\n' || c == '\0'; }

// Fields in the order in which they were added; of one name the first.
class Fields {
 public:
  void add(std::string_view name, std::string value) {
    const auto is_it = [&](const auto& field) { return equals_ignoring_case(field.first, name); };
    if (std::any_of(all_.begin(), all_.end(), is_it)) return;
    std::erase_if(value, ends_a_line);
    all_.emplace_back(name, std::move(value));
  }
  [[nodiscard]] std::string text() const {
    std::string text;
    for (const auto& [name, value] : all_) text += format("{}: {}\r\n", name, value);
    return text + "\r\n";
  }

 private:
  Headers all_;
};

}  // namespace

std::string response_head(const Response& response, const HeadOptions& options) {
  const bool is_old = options.version == 10;
  Fields fields;
  for (const auto& [name, value] : response.headers) fields.add(name, value);
  fields.add("Date", http_date(options.date));
  fields.add("Cache-Control", "no-store");
  fields.add("X-Content-Type-Options", "nosniff");
  fields.add("Cross-Origin-Resource-Policy", "same-origin");
  if (response.status == 503) fields.add("Retry-After", std::string(kRetryAfter));
  if (!options.keep) fields.add("Connection", "close");
  if (options.keep && is_old) fields.add("Connection", "keep-alive");
  const bool has_body = response.status != 204 && response.status != 304;
  if (has_body) fields.add("Content-Type", response.content_type);
  if (response.stream && !is_old) fields.add("Transfer-Encoding", "chunked");
  // Of a 204 it must not be told, of a 304 it would be that of another answer.
  if (!response.stream && has_body) fields.add("Content-Length", format("{}", response.body.size()));
  return format("HTTP/1.{} {} {}\r\n", is_old ? 0 : 1, response.status, status_text(response.status)) + fields.text();
}

}  // namespace buildwarden::api
