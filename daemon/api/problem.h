// Errors as clients see them: RFC 9457 problem documents with a stable code.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "common/result.h"
#include "daemon/api/message.h"

namespace buildwarden::api {

// {type, title, status, detail, code} and `more`; `detail` is one sentence for people, `code` never changes its
// meaning.
Response problem(int status, std::string_view code, std::string_view detail, boost::json::object more = {});

// An error of a room: the status that fits its code, and `code` for the document, or the error's own ("invalid",
// "denied", "unavailable", …) where it is "".
Response problem(const Error& error, std::string_view code = "");

}  // namespace buildwarden::api
