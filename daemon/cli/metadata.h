// What an EC2 instance tells of itself (IMDSv2): a token first, then questions with it.
#pragma once

#include <string>

#include "common/result.h"
#include "common/units.h"

namespace buildwarden::cli {

// A token of `url` ("http://169.254.169.254") that lives a minute. kUnavailable, kTimeout: nobody answers there.
Result<std::string> metadata_token(const std::string& url, Duration deadline);

// The name of the instance's role; kNotFound when it has none. Errors as above; kDenied: no token is given.
Result<std::string> metadata_role(const std::string& url, Duration deadline);

}  // namespace buildwarden::cli
