// The role of the EC2 instance that this is.
#pragma once

#include <string>

#include "common/metadata.h"

namespace buildwarden::cli {

// The name of the instance's role; kNotFound when it has none. Errors as metadata_token().
Result<std::string> metadata_role(const std::string& url, Duration deadline);

}  // namespace buildwarden::cli
