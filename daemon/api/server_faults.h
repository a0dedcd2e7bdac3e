// What is answered to what is no request that we take.
#pragma once

#include <boost/system/error_code.hpp>
#include <optional>

#include "daemon/api/message.h"
#include "daemon/api/server_session.h"

namespace buildwarden::api {

// The answer to a request that could not be read; nothing when there is nobody (any more) to answer.
std::optional<Response> answer_to(const boost::system::error_code& failed, const SessionLimits& limits);

// The answer to a request that was read but lacks what every one must have. `version` is 10 or 11.
std::optional<Response> check_form(const Request& request, unsigned version);

}  // namespace buildwarden::api
