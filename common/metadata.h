// What an EC2 instance tells of itself (IMDSv2): a token first, then questions with it.
#pragma once

#include <string>

#include "common/result.h"
#include "common/units.h"

namespace buildwarden {

// A token of `url` ("http://169.254.169.254") that lives a minute. kUnavailable, kTimeout: nobody answers there;
// kInvalid: no URL of an address in figures; kDenied, kNotFound: no token is given.
Result<std::string> metadata_token(const std::string& url, Duration deadline);

// The answer of `path` ("/latest/meta-data/instance-id") to that token, without a final newline. Errors as above;
// kNotFound: the instance has no such thing.
Result<std::string> metadata_value(const std::string& url, const std::string& token, const std::string& path,
                                   Duration deadline);

}  // namespace buildwarden
