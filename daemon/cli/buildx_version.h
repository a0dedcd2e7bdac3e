// What a job's own buildx can do, by its version.
#pragma once

#include <compare>
#include <optional>
#include <string_view>

namespace buildwarden::cli {

struct BuildxVersion {
  int major = 0;
  int minor = 0;
  friend auto operator<=>(const BuildxVersion&, const BuildxVersion&) = default;
};

// The first one whose drivers know `default-load` (docker/buildx pull request 2259). Earlier ones refuse each command
// on an instance that has it: "invalid driver option default-load for remote driver".
inline constexpr BuildxVersion kDefaultLoad{0, 14};

// Of the line that `docker buildx version` prints: "github.com/docker/buildx v0.29.1 a32761a", Debian's
// "… 0.13.1+ds1 0.13.1+ds1-3". Nothing when it is no such line.
std::optional<BuildxVersion> read_buildx_version(std::string_view line);

}  // namespace buildwarden::cli
