// Which EC2 instance this is. A program mode of its own, since the daemon's own unit has no network.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"

namespace buildwarden::instance {

// The subcommand that leads to tell_identity(); not for people.
inline constexpr std::string_view kMetadataCommand = "instance-metadata";

struct Identity {
  std::string id;      // "i-0123456789abcdef0"
  std::string region;  // "us-east-1"
};

// Asks `url` by IMDSv2 and prints two lines, id and region. The exit code of the process: 0, or 1 with a sentence on
// stderr.
int tell_identity(const std::string& url);

// What those lines say. kProtocol: no instance and region.
Result<Identity> read_identity(std::string_view lines);

}  // namespace buildwarden::instance
