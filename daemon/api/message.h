// A request and its answer as plain values: all that routes and handlers see of HTTP.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "daemon/api/peer_key.h"
#include "daemon/ports/jobs.h"

namespace buildwarden::api {

using Headers = std::vector<std::pair<std::string, std::string>>;

// How a request came in; it decides what may be asked.
enum class Origin : std::uint8_t { kUnix, kLoopback, kRemote };

struct Request {
  std::string method;
  std::string path;                          // percent-decoded, without the query; starts with "/"
  std::map<std::string, std::string> query;  // percent-decoded; of a name given twice the last
  Headers headers;
  std::string body;
  ports::Peer peer;
  PeerKey from;  // whom what it takes is counted for
  Origin origin = Origin::kUnix;
  std::string captured;  // what {…} in the route's pattern matched

  // The header's value, "" without it; names compare without case.
  [[nodiscard]] std::string_view header(std::string_view name) const;
  // Whether the Accept header names this media type. Wildcards do not count: they mean the route's usual type.
  [[nodiscard]] bool accepts(std::string_view media_type) const;
};

// A body that goes on until it ends or the client leaves.
class BodyStream {
 public:
  virtual ~BodyStream() = default;
  // The next piece, never empty; nothing at the end. Called again only when the last piece was written: what a slow
  // client does not take is not gathered here. Ends promptly on cancellation.
  virtual boost::asio::awaitable<std::optional<std::string>> next() = 0;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  Headers headers;
  std::string body;
  std::shared_ptr<BodyStream> stream;  // instead of `body`
  std::string route{};                 // that it came by, "GET /v1/jobs/{id}"; "" without one
};

// Never throws for what a client can do; what it throws all the same is answered with 500.
using Handler = std::function<boost::asio::awaitable<Response>(Request)>;

// A request target as path and query: "/a%20b?x=1" or the absolute form "http://host/a". kInvalid with the reason; a
// control character (visible_text.h), escaped or not, is one: an id in a path ends up in logs and on terminals.
struct Target {
  std::string path;
  std::map<std::string, std::string> query;
};
Result<Target> parse_target(std::string_view text);

// "OK", "Not Found"; "Error" for a status that we never send.
std::string_view status_text(int status);

// "Sun, 06 Nov 1994 08:49:37 GMT", as the Date header has it.
std::string http_date(WallTime time);

// An id as a segment of a path: every byte that a path might not have is escaped.
std::string path_segment(std::string_view text);

// Takes the part before `separator` off the front of `rest`, all of it where there is none.
std::string_view take_until(std::string_view& rest, char separator);
std::string_view trim_blanks(std::string_view text);

bool equals_ignoring_case(std::string_view one, std::string_view other);

}  // namespace buildwarden::api
