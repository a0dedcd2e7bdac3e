#include "daemon/api/etag.h"

#include <cstddef>

#include "common/fnv1a.h"
#include "common/format.h"

namespace buildwarden::api {
namespace {

std::string_view opaque(std::string_view tag) {
  tag = trim_blanks(tag);
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  return tag;
}

constexpr std::size_t kMostTagged = std::size_t{1} << 20U;  // a millisecond of the loop

}  // namespace

std::string etag_of(std::string_view body) { return format("W/\"{:016x}-{:x}\"", fnv1a(body), body.size()); }

bool matches_etag(std::string_view rest, std::string_view etag) {
  while (!rest.empty()) {
    const auto one = opaque(take_until(rest, ','));
    if (one == "*" || one == opaque(etag)) return true;
  }
  return false;
}

void tag_for_polling(const Request& request, Response& response) {
  const bool is_read = request.method == "GET" || request.method == "HEAD";
  const bool is_polled = request.path.starts_with("/v1/") || request.path == "/openapi.json";
  if (!is_read || !is_polled || response.stream || response.status != 200) return;
  if (response.body.size() > kMostTagged) return;
  const auto etag = etag_of(response.body);
  response.headers.emplace_back("ETag", etag);
  if (!matches_etag(request.header("If-None-Match"), etag)) return;
  response.status = 304;
  response.body.clear();
}

}  // namespace buildwarden::api
