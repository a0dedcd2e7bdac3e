#include "daemon/api/server_faults.h"

#include <boost/beast/http/error.hpp>

#include "common/format.h"
#include "daemon/api/problem.h"

namespace buildwarden::api {
namespace http = boost::beast::http;

std::optional<Response> answer_to(const boost::system::error_code& failed, const SessionLimits& limits) {
  if (failed == http::error::header_limit || failed == http::error::buffer_overflow) {
    return problem(431, "head_too_large", format("the request's head has more than {} bytes", limits.head_bytes));
  }
  if (failed == http::error::body_limit) {
    return problem(413, "body_too_large", format("the request's body has more than {} bytes", limits.body_bytes));
  }
  const bool gone = failed == http::error::end_of_stream || failed == http::error::partial_message;
  if (gone || failed.category() != make_error_code(http::error::bad_value).category()) return std::nullopt;
  return problem(400, "bad_request", format("this is no HTTP/1.1 request: {}", failed.message()));
}

std::optional<Response> check_form(const Request& request, unsigned version) {
  if (version >= 11 && request.header("Host").empty() && request.origin != Origin::kUnix) {
    return problem(400, "bad_request", "an HTTP/1.1 request must have a Host header");
  }
  const auto coding = request.header("Content-Encoding");
  if (coding.empty() || equals_ignoring_case(coding, "identity")) return std::nullopt;
  return problem(415, "unsupported_encoding", format("a body in the coding \"{}\" cannot be read", coding));
}

}  // namespace buildwarden::api
