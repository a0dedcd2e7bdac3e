#include "daemon/cli/buildx_version.h"

#include <charconv>

namespace buildwarden::cli {

std::optional<BuildxVersion> read_buildx_version(std::string_view line) {
  constexpr std::string_view kBefore = "github.com/docker/buildx ";
  if (!line.starts_with(kBefore)) return std::nullopt;
  line.remove_prefix(kBefore.size());
  if (line.starts_with('v')) line.remove_prefix(1);
  BuildxVersion version;
  const auto* end = line.data() + line.size();
  const auto major = std::from_chars(line.data(), end, version.major);
  if (major.ec != std::errc{} || major.ptr == end || *major.ptr != '.') return std::nullopt;
  const auto minor = std::from_chars(major.ptr + 1, end, version.minor);
  if (minor.ec != std::errc{}) return std::nullopt;
  return version;
}

}  // namespace buildwarden::cli
