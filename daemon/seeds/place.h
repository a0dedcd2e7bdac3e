// Where the seeds of one builder lie, and how that is reached.
#pragma once

#include <string>
#include <vector>

namespace buildwarden::seeds {

struct Place {
  std::string location;      // "s3://bucket/prefix", or an absolute folder
  std::string builder;       // as configured: a name without anything that means more in a path
  std::string architecture;  // "amd64"
  std::string aws_cli = "aws";
  std::string region{};        // "": the CLI's own
  std::string endpoint_url{};  // "": that of AWS
  std::string imds_url{};      // "": the usual one
  // Many short refusals are to be expected, and what is under way is worth their while: S3 bounds the requests below a
  // prefix, and a fleet may boot at once (tests/bench/seeds_fleet.py).
  bool is_patient = false;

  [[nodiscard]] bool is_s3() const { return location.starts_with("s3://"); }
  // Below the location: "s3/amd64".
  [[nodiscard]] std::string within() const { return builder + "/" + architecture; }
};

}  // namespace buildwarden::seeds
