// What is answered to what is no request that we take.
#pragma once

#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <optional>

#include "daemon/api/message.h"
#include "daemon/api/server_session.h"

namespace buildwarden::api {

// The answer to a head or a body that could not be read; nothing when there is nobody (any more) to answer.
std::optional<Response> answer_to(const boost::system::error_code& failed, const SessionLimits& limits);

// How long the body is that follows a head. One number or none, and no transfer coding: whatever two readers could
// understand differently (RFC 9112, 6.1 and 6.3) is not known.
struct BodyLength {
  bool is_known = false;
  std::size_t bytes = 0;
  int status = 400;  // when it is not known: 400 or, for a transfer coding, 411 or 501
};
BodyLength body_length(const boost::beast::http::request_header<>& head);

// The answer to a length that is not known. The connection has to end: where the next request begins is not known.
Response length_problem(const BodyLength& length);

// The answer to a body of more than `most` bytes; 0: where there may be none.
Response body_too_large(std::size_t most);

// The answer to a request whose head was read but lacks what every one must have. `version` is 10 or 11.
std::optional<Response> check_form(const Request& request, unsigned version);

// Whether the client waits for 100 before it sends the body.
bool expects_continue(const Request& request);

}  // namespace buildwarden::api
