// Whether a user gets through to a unix socket: tried as that user.
#pragma once

#include <string>

#include "common/result.h"
#include "daemon/cli/account.h"

namespace buildwarden::cli {

// Connects to the socket at `path` as `account`, and closes. kDenied also when we may not try: see below.
Result<void> opens_as(const Account& account, const std::string& path);

// The same, and asks whether there is a server of HTTP/2 (what BuildKit speaks) that answers: kTimeout, kProtocol.
Result<void> speaks_http2_as(const Account& account, const std::string& path);

// Whether the error says that we have no right to try as somebody else, rather than that it failed.
bool is_not_ours_to_try(const Error& error);

}  // namespace buildwarden::cli
