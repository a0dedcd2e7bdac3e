#include "daemon/engine/api_version.h"

#include <algorithm>
#include <charconv>

#include "common/format.h"

namespace buildwarden::engine {
namespace {

bool parse_part(std::string_view text, int& part) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), part);
  return error == std::errc{} && end == text.data() + text.size() && part >= 0;
}

}  // namespace

Result<ApiVersion> parse_api_version(std::string_view text) {
  const auto dot = text.find('.');
  ApiVersion version;
  if (dot == std::string_view::npos || !parse_part(text.substr(0, dot), version.major) ||
      !parse_part(text.substr(dot + 1), version.minor)) {
    return Error(Errc::kProtocol, format("\"{}\" is not a version of the engine's API", text));
  }
  return version;
}

Result<ApiVersion> choose_api_version(std::string_view newest_offered) {
  auto offered = parse_api_version(newest_offered);
  if (!offered) return offered;
  if (*offered < kOldestApi) {
    return Error(Errc::kProtocol, format("the engine's API {} is older than {}, the oldest supported", offered->text(),
                                         kOldestApi.text()));
  }
  return std::min(*offered, kNewestApi);
}

}  // namespace buildwarden::engine
