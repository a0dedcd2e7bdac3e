#include "daemon/api/server_faults.h"

#include <algorithm>
#include <boost/beast/http/error.hpp>
#include <charconv>

#include "common/format.h"
#include "daemon/api/problem.h"

namespace buildwarden::api {
namespace http = boost::beast::http;

std::optional<Response> answer_to(const boost::system::error_code& failed, const SessionLimits& limits) {
  if (failed == http::error::header_limit) {
    return problem(431, "head_too_large", format("the request's head has more than {} bytes", limits.head_bytes));
  }
  const bool gone = failed == http::error::end_of_stream || failed == http::error::partial_message;
  if (gone || failed.category() != make_error_code(http::error::bad_value).category()) return std::nullopt;
  return problem(400, "bad_request", format("this is no HTTP/1.1 request: {}", failed.message()));
}

BodyLength body_length(const http::request_header<>& head) {
  const auto codings = head.count(http::field::transfer_encoding);
  if (codings > 0) {
    const bool chunked = codings == 1 && equals_ignoring_case(head[http::field::transfer_encoding], "chunked");
    return {false, 0, chunked ? 411 : 501};
  }
  const auto lengths = head.count(http::field::content_length);
  if (lengths == 0) return {true, 0};
  const std::string_view text = head[http::field::content_length];
  BodyLength length;
  const auto [end, failed] = std::from_chars(text.begin(), text.end(), length.bytes);
  length.is_known = lengths == 1 && failed == std::errc() && end == text.end();
  return length;
}

Response length_problem(const BodyLength& length) {
  if (length.status == 411) {
    return problem(411, "length_required", "a body in chunks is not taken: send it with a Content-Length");
  }
  if (length.status == 501) {
    return problem(501, "unsupported_coding", "no Transfer-Encoding is taken: send the body with a Content-Length");
  }
  return problem(400, "bad_request", "there must be one Content-Length, with one number in it");
}

Response body_too_large(std::size_t most) {
  const auto why = most == 0 ? std::string("a request over TCP has no body")
                             : format("the request's body has more than {} bytes", most);
  return problem(413, "body_too_large", why);
}

std::optional<Response> check_form(const Request& request, unsigned version) {
  const auto is_host = [](const auto& field) { return equals_ignoring_case(field.first, "Host"); };
  if (std::count_if(request.headers.begin(), request.headers.end(), is_host) > 1) {
    return problem(400, "bad_request", "there must be one Host header, not several");
  }
  if (version >= 11 && request.header("Host").empty() && request.origin != Origin::kUnix) {
    return problem(400, "bad_request", "an HTTP/1.1 request must have a Host header");
  }
  const auto coding = request.header("Content-Encoding");
  if (coding.empty() || equals_ignoring_case(coding, "identity")) return std::nullopt;
  return problem(415, "unsupported_encoding", format("a body in the coding \"{}\" cannot be read", coding));
}

bool expects_continue(const Request& request) { return equals_ignoring_case(request.header("Expect"), "100-continue"); }

}  // namespace buildwarden::api
