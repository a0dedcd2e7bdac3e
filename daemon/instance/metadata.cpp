#include "daemon/instance/metadata.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "common/format.h"
#include "common/metadata.h"

namespace buildwarden::instance {
namespace {

constexpr Duration kMetadataPatience = std::chrono::seconds{3};  // for each of three questions

Result<Identity> ask(const std::string& url) {
  const auto token = metadata_token(url, kMetadataPatience);
  if (!token) return token.error();
  auto id = metadata_value(url, *token, "/latest/meta-data/instance-id", kMetadataPatience);
  if (!id) return std::move(id).error();
  auto region = metadata_value(url, *token, "/latest/meta-data/placement/region", kMetadataPatience);
  if (!region) return std::move(region).error();
  return Identity{*std::move(id), *std::move(region)};
}

// They become arguments of a command: nothing but what AWS gives.
bool is_name(std::string_view text) {
  const auto good = [](char one) { return (one >= 'a' && one <= 'z') || (one >= '0' && one <= '9') || one == '-'; };
  return !text.empty() && text.size() <= 64 && text.front() != '-' && std::all_of(text.begin(), text.end(), good);
}

}  // namespace

int tell_identity(const std::string& url) {
  const auto identity = ask(url);
  if (!identity) {
    std::fprintf(stderr, "%s\n", identity.error().message().c_str());
    return EXIT_FAILURE;
  }
  std::printf("%s\n%s\n", identity->id.c_str(), identity->region.c_str());
  return EXIT_SUCCESS;
}

Result<Identity> read_identity(std::string_view lines) {
  const auto end = lines.find('\n');
  const auto rest = end == std::string_view::npos ? std::string_view{} : lines.substr(end + 1);
  Identity identity{std::string(lines.substr(0, end)), std::string(rest.substr(0, rest.find('\n')))};
  if (identity.id.starts_with("i-") && is_name(identity.id) && is_name(identity.region)) return identity;
  return Error(Errc::kProtocol, format("the instance's metadata name no instance and region: \"{}\"", lines));
}

}  // namespace buildwarden::instance
