// HTTP/1.1 over a unix socket, which is what the engine's API and our own client speak, or to an address.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "common/units.h"

namespace buildwarden {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method = "GET";
  std::string target;
  HttpHeaders headers;    // Host and Content-Length are added
  std::string body;       // sent as it is, with Content-Length
  std::string body_file;  // instead of `body`: the path of a file to stream (an image archive)
};

struct HttpResponse {
  int status = 0;
  HttpHeaders headers;
  std::string body;

  // The header's value, "" without it; names compare without case.
  [[nodiscard]] std::string header(std::string_view name) const;
};

struct HttpLimits {
  Duration deadline = std::chrono::seconds{10};  // for the whole exchange
  Bytes max_body = 4 * kMiB;                     // of the answer
};

// An answer that does not end: newline-delimited JSON, server-sent events. Closed by destruction.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
  [[nodiscard]] virtual const HttpResponse& head() const = 0;  // body empty
  // The next line without its newline (nor the carriage return before it); waits at most `idle` for it. kTimeout: none
  // came, and the stream may be read on. Any other error ends it: kUnavailable when it ended or broke off; kTooLarge
  // for a line above 1 MiB; kProtocol when it is no longer HTTP. The last line of a proper end may lack its newline.
  virtual boost::asio::awaitable<Result<std::string>> next_line(Duration idle) = 0;
  // After kUnavailable: whether the answer came to its proper end, rather than broke off.
  [[nodiscard]] virtual bool complete() const = 0;
};

// One connection an exchange: a unix connect costs some 10 us and leaves no stale connection to recover from.
class HttpClient {
 public:
  // A unix socket's path, or `http://ADDRESS[:PORT]` with an address in figures (an instance's metadata).
  explicit HttpClient(std::string socket_path);

  // Any status is a success of the exchange. kUnavailable: nobody listens or the connection broke; kTimeout:
  // `deadline`; kTooLarge: the answer's body is above `max_body`; kProtocol: not HTTP. The host header is `localhost`,
  // or the address.
  boost::asio::awaitable<Result<HttpResponse>> send(HttpRequest request, HttpLimits limits) const;

  // Sends, reads the head within `limits.deadline`, and leaves the body to be read line by line.
  boost::asio::awaitable<Result<std::unique_ptr<HttpStream>>> open(HttpRequest request, HttpLimits limits) const;

  [[nodiscard]] const std::string& socket_path() const { return socket_path_; }

 private:
  std::string socket_path_;
};

}  // namespace buildwarden
