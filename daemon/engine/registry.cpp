// The registry part of encode.h: image names, base64, credentials.
#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <cstdint>
#include <map>

#include "common/format.h"
#include "daemon/engine/encode.h"
#include "daemon/engine/json.h"

namespace buildwarden::engine {
namespace json = boost::json;

namespace {

constexpr std::string_view kDockerHub = "docker.io";
constexpr std::string_view kPlainAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// "https://index.docker.io/v1/" and "r.example:5000" both name a registry in config.json.
std::string registry_of_key(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  key = key.substr(0, key.find('/'));
  if (key == "index.docker.io" || key == "registry-1.docker.io") key = kDockerHub;
  return std::string(key);
}

// One entry of "auths" as the engine wants it.
Result<std::string> auth_of(const json::value& entry, std::string_view key) {
  FieldReader fields(entry, format("the entry {}", key));
  json::object auth;
  auth["serveraddress"] = json::string_view(key.data(), key.size());
  const auto identity_token = fields.optional_text("identitytoken");
  const auto registry_token = fields.optional_text("registrytoken");
  const auto packed = fields.optional_text("auth");
  if (auto read = fields.result(); !read) return std::move(read).error();
  auto pair = decode_base64(packed);
  if (!pair) return std::move(pair).error().with_context(format("the credentials of {}", key));
  const auto colon = pair->find(':');
  if (colon == std::string::npos && identity_token.empty() && registry_token.empty()) return std::string();
  if (!identity_token.empty()) auth["identitytoken"] = identity_token;
  if (!registry_token.empty()) auth["registrytoken"] = registry_token;
  if (colon != std::string::npos) {
    auth["username"] = pair->substr(0, colon);
    auth["password"] = pair->substr(colon + 1);
  }
  return encode_base64(json::serialize(auth), true);
}

std::string helper_of(const std::map<std::string, std::string>& helpers, const std::string& store,
                      std::string_view registry) {
  for (const auto& [key, helper] : helpers) {
    if (registry_of_key(key) == registry) return helper;
  }
  return store;
}

// It becomes part of the name of a program that is looked for in PATH.
bool is_helper_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c < 0x80 && std::isalnum(c) != 0) || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace

Result<ImageName> parse_image_name(std::string_view reference) {
  if (reference.empty()) return Error(Errc::kInvalid, "the name of an image is empty");
  ImageName name;
  const auto slash = reference.find('/');
  const auto first = reference.substr(0, slash);
  const bool has_registry =
      slash != std::string_view::npos && (first.find_first_of(".:") != std::string_view::npos || first == "localhost");
  name.registry = std::string(has_registry ? first : kDockerHub);
  if (name.registry == "index.docker.io") name.registry = std::string(kDockerHub);
  const auto at = reference.find('@');
  if (at != std::string_view::npos) {
    name.tag = std::string(reference.substr(at + 1));
    reference = reference.substr(0, at);
  }
  const auto colon = reference.rfind(':');
  const auto last_slash = reference.rfind('/');
  if (colon != std::string_view::npos && (last_slash == std::string_view::npos || colon > last_slash)) {
    if (at == std::string_view::npos) name.tag = std::string(reference.substr(colon + 1));
    reference = reference.substr(0, colon);
  }
  if (name.tag.empty()) name.tag = "latest";  // the engine would pull every tag there is
  name.repository = std::string(reference);
  if (name.repository.empty()) return Error(Errc::kInvalid, "the name of an image has no repository");
  return name;
}

std::string encode_base64(std::string_view bytes, bool url_safe) {
  const auto alphabet = url_safe ? kUrlAlphabet : kPlainAlphabet;
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t group = 0;
    const auto count = std::min<std::size_t>(3, bytes.size() - at);
    for (std::size_t i = 0; i < 3; ++i) {
      group = group << 8U | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) text += i <= count ? alphabet[group >> (18U - 6U * i) & 0x3fU] : '=';
  }
  return text;
}

Result<std::string> decode_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char c : text) {
    auto digit = kPlainAlphabet.find(c);
    if (digit == std::string_view::npos) digit = kUrlAlphabet.find(c);
    if (digit == std::string_view::npos) return Error(Errc::kProtocol, "not base64");
    bits = bits << 6U | static_cast<std::uint32_t>(digit);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes += static_cast<char>(bits >> held & 0xffU);
  }
  return bytes;
}

std::string helper_server(std::string_view registry) {
  return registry == kDockerHub ? "https://index.docker.io/v1/" : std::string(registry);
}

Result<RegistryLogin> registry_login(std::string_view docker_config_json, std::string_view registry) {
  auto root = parse_json(docker_config_json);
  if (!root) return std::move(root).error();
  FieldReader config(*root, "the configuration");
  const auto helpers = config.optional_texts("credHelpers");
  const auto store = config.optional_text("credsStore");
  const auto* auths = config.find("auths");
  const auto* entries = auths == nullptr ? nullptr : auths->if_object();
  if (auths != nullptr && entries == nullptr) config.fail("has auths that are not an object");
  if (auto read = config.result(); !read) return std::move(read).error();
  RegistryLogin login;
  login.helper = helper_of(helpers, store, registry);
  if (!login.helper.empty() && !is_helper_name(login.helper)) {
    return Error(Errc::kProtocol, "the configuration names a credential helper that is no program's name");
  }
  if (!login.helper.empty() || entries == nullptr) return login;
  for (const auto& entry : *entries) {
    const std::string_view key(entry.key().data(), entry.key().size());
    if (registry_of_key(key) != registry) continue;
    auto auth = auth_of(entry.value(), key);
    if (!auth) return std::move(auth).error();
    login.auth = *std::move(auth);
    break;
  }
  return login;
}

}  // namespace buildwarden::engine
