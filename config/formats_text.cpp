#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/format.h"
#include "common/path_parts.h"
#include "config/formats.h"
#include "config/platforms.h"
#include "config/text.h"

namespace buildwarden::config {
namespace {

using Text = Format<std::string>;
using Test = bool (*)(std::string_view);

constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kDigits = "0123456789";

bool lower(char c) { return kLower.find(c) != std::string_view::npos; }
bool digit(char c) { return kDigits.find(c) != std::string_view::npos; }
bool letter(char c) { return lower(c) || (c >= 'A' && c <= 'Z'); }

// Every character is a letter, a digit or one of `others`, and there are 1 to `most` of them.
bool made_of(std::string_view text, std::string_view others, std::size_t most) {
  return !text.empty() && text.size() <= most && std::all_of(text.begin(), text.end(), [&](char c) {
    return letter(c) || digit(c) || others.find(c) != std::string_view::npos;
  });
}

bool lower_only(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return letter(c) && !lower(c); });
}

Text text_format(std::string noun, const std::string& example, Test fits) {
  Text f;
  f.hint = noun + " such as " + example;
  f.remedy = "one such as " + example;
  f.parse = [noun = std::move(noun), fits](std::string_view text) -> Result<std::string> {
    if (!fits(text)) return Error(Errc::kInvalid, "is not " + noun);
    return std::string(text);
  };
  f.show = [](const std::string& value) { return yaml_spelling(value); };
  return f;
}

Text optional(Text f) {
  f.hint += ", or \"\"";
  f.remedy += ", or \"\"";
  f.parse = [inner = std::move(f.parse)](std::string_view text) -> Result<std::string> {
    if (text.empty()) return std::string();
    return inner(text);
  };
  return f;
}

bool is_path(std::string_view text) {
  if (!text.starts_with('/') || text.size() > 4000) return false;
  if (text.ends_with("/..") || text.find("/../") != std::string_view::npos) return false;
  return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

bool is_deep_path(std::string_view text) { return is_path(text) && parts_of(text).size() >= 2; }

// One spelling of each path: what compares paths would take "/var/lib/" for another one than "/var/lib".
Text path_format(std::string what, const std::string& example, bool (*is_one)(std::string_view)) {
  Text format = text_format(std::move(what), example, is_one);
  format.parse = [inner = std::move(format.parse)](std::string_view text) -> Result<std::string> {
    auto path = inner(text);
    if (!path) return path;
    std::string plain;
    for (const auto& part : parts_of(*path)) plain += "/" + part;
    return plain.empty() ? "/" : plain;
  };
  return format;
}

bool is_image(std::string_view text) { return made_of(text, "._/:@-", 512) && (letter(text[0]) || digit(text[0])); }

bool is_builder_name(std::string_view text) {
  return made_of(text, "-", 31) && lower_only(text) && lower(text.front());
}

// What buildx takes as a name; it lowers what it is given.
bool is_alias(std::string_view text) {
  return made_of(text, "._-", 63) && lower_only(text) && lower(text.front()) && text != "default";
}

bool is_memory(std::string_view text) {
  const auto size = parse_bytes(text);
  return size.ok() && *size >= 64 * kMiB;
}

bool is_cpus(std::string_view text) {
  double value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  return ec == std::errc{} && end == text.data() + text.size() && value >= 0.01 && value <= 4096;
}

bool is_bucket(std::string_view text) {
  return text.size() >= 3 && made_of(text, ".-", 63) && lower_only(text) && text.front() != '-' && text.front() != '.';
}

bool is_url(std::string_view text) {
  const bool scheme = text.starts_with("http://") || text.starts_with("https://");
  return scheme && text.find("//") + 2 < text.size() && made_of(text, ":/._-[]~%", 1024);
}

bool is_platform(std::string_view text) {
  const bool well_formed = text.starts_with("linux/") && text.size() > 6 && made_of(text, "/", 40) &&
                           lower_only(text) && !text.ends_with('/') && std::count(text.begin(), text.end(), '/') <= 2 &&
                           text.find("//") == std::string_view::npos;
  if (!well_formed) return false;
  text.remove_prefix(6);
  const auto architecture = text.substr(0, text.find('/'));
  return std::find(kArchitectures.begin(), kArchitectures.end(), architecture) != kArchitectures.end();
}

std::string known_platforms() {
  std::string text = "linux/arm64 (known:";
  for (const auto architecture : kArchitectures) text += format(" {}", architecture);
  return text + ")";
}

bool is_account(std::string_view text) {
  return made_of(text, "_.-", 64) && text.front() != '-' && text.front() != '.';
}

bool is_unit(std::string_view text) {
  return text.ends_with(".service") && text.size() > 8 && made_of(text, ":_.@-\\", 255) && text.front() != '-';
}

bool is_program(std::string_view text) {
  if (text.starts_with('/')) return is_path(text);
  return made_of(text, "._-", 128) && text.front() != '-' && text.front() != '.';
}

bool is_ip(std::string_view text) {
  in6_addr parsed{};
  const bool bracketed = text.starts_with('[') && text.ends_with(']') && text.size() > 2;
  const std::string host(bracketed ? text.substr(1, text.size() - 2) : text);
  return ::inet_pton(bracketed ? AF_INET6 : AF_INET, host.c_str(), &parsed) == 1;
}

bool is_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  const auto port = text.substr(colon + 1);
  unsigned value = 0;
  const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), value);
  const bool whole = !port.empty() && ec == std::errc{} && end == port.data() + port.size();
  const auto host = text.substr(0, colon);
  return whole && value <= 65535 && (host == "localhost" || is_ip(host));
}

bool is_argument(std::string_view text) {
  return text.starts_with("--") && text.size() > 2 && text.size() <= 1024 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c != 0x7F; });
}

bool is_word(std::string_view text) { return made_of(text, "._/:@+=-", 512) && text.front() != '-'; }
bool is_glob(std::string_view text) { return made_of(text, "._/:@-*?[]!", 512); }
bool is_registry(std::string_view text) { return made_of(text, ".:-[]", 255) && text.front() != '-'; }
bool is_mirror(std::string_view text) { return made_of(text, "._:/-[]", 512) && !is_url(text); }
bool is_host_network(std::string_view text) { return text == "host"; }
bool is_runtime(std::string_view text) { return made_of(text, "._-", 128) && text.front() != '-'; }
bool is_variable(std::string_view text) { return made_of(text, "_", 128) && !digit(text.front()); }
bool is_printable(std::string_view text) {
  return text.size() <= 4096 && std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c != 0x7F; });
}
// It becomes an argument of the AWS CLI, so never "--no-verify-ssl".
bool is_region(std::string_view text) { return made_of(text, "-", 40) && lower_only(text) && lower(text.front()); }
bool is_host(std::string_view text) { return made_of(text, ".-", 253) && text.front() != '-' && text.front() != '.'; }
// An IPv6 address may stand in brackets, as in a URL, or without.
bool is_extra_host(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || !is_host(text.substr(0, colon))) return false;
  const auto address = text.substr(colon + 1);
  return address == "host-gateway" || is_ip(address) || is_ip(format("[{}]", address));
}
bool is_address(std::string_view text) {
  return !text.starts_with('[') && (is_ip(text) || is_ip(format("[{}]", text)));
}
bool is_seed_location(std::string_view text) {
  constexpr std::string_view kS3 = "s3://";
  if (!text.starts_with(kS3)) return is_deep_path(text);
  text.remove_prefix(kS3.size());
  const auto slash = text.find('/');
  if (!is_bucket(text.substr(0, slash))) return false;
  const auto prefix = slash == std::string_view::npos ? std::string_view() : text.substr(slash + 1);
  return prefix.empty() || (made_of(prefix, "/._-=", 200) && prefix.find("//") == std::string_view::npos);
}

bool is_socket(std::string_view text) { return is_path(text) && text.size() <= 107; }

}  // namespace

Text absolute_path() { return path_format("an absolute path without ..", "/var/lib/example", is_path); }
Text optional_path() { return optional(absolute_path()); }
Text socket_path() {
  return path_format("an absolute path of at most 107 bytes without ..", "/run/example.sock", is_socket);
}
Text purgeable_path() {
  return path_format("an absolute path at least two levels deep without ..", "/var/cache/example", is_deep_path);
}
Text image_reference() { return text_format("an image reference", "moby/buildkit:buildx-stable-1", is_image); }
Text optional_image() { return optional(image_reference()); }
Text image_glob() {
  return text_format("a glob over image references, or over names after container:, network: or volume:",
                     "example.com/base/* or network:shop_*", is_glob);
}
Text builder_name() {
  return text_format("a builder's name (a-z first, then at most 30 of a-z, 0-9 and -)", "s3", is_builder_name);
}
Text builder_alias() {
  return text_format("an alias (a-z first, then at most 62 of a-z, 0-9, ., _ and -; not default)", "my-builder",
                     is_alias);
}
Text optional_memory() { return optional(text_format("a size of at least 64MiB", "4GiB", is_memory)); }
Text optional_cpus() { return optional(text_format("a number of CPUs from 0.01 to 4096", "1.5", is_cpus)); }
Text program_argument() { return text_format("one argument that begins with --", "--debug", is_argument); }
Text registry_host() { return text_format("a registry's host", "docker.io or localhost:5000", is_registry); }
Text registry_mirror() { return text_format("a mirror's host, without a scheme", "mirror.gcr.io", is_mirror); }
Text container_network() {
  return optional(text_format("the network's name that is taken here", "host", is_host_network));
}
Text optional_runtime() { return optional(text_format("a runtime's name", "runc", is_runtime)); }
Text ip_address() { return text_format("an IP address", "10.0.0.2", is_address); }
Text extra_host() {
  return text_format("NAME:IP or NAME:host-gateway", "registry.example.com:10.0.0.7", is_extra_host);
}
Text variable_name() { return text_format("a variable's name", "HTTP_PROXY", is_variable); }
Text any_text() { return text_format("a text", "x", is_printable); }
Text optional_seed_location() {
  return optional(text_format("a bucket with a prefix, or an absolute path at least two levels deep",
                              "s3://my-build-seeds/linux or /mnt/seeds", is_seed_location));
}
Text optional_bucket() { return optional(text_format("a bucket's name", "my-build-cache", is_bucket)); }
Text optional_region() { return optional(text_format("a region's name", "us-east-1", is_region)); }
Text optional_word() {
  return optional(text_format("a text of letters, digits and . _ / : @ + = -", "team/cache", is_word));
}
Text optional_url() { return optional(url()); }
Text url() { return text_format("an http or https URL", "http://127.0.0.1:9000", is_url); }
Text platform() { return text_format("a platform", known_platforms(), is_platform); }
Text user_name() { return text_format("a user's name or number", "buildkite-agent", is_account); }
Text group_name() { return text_format("auto, or a group's name or number", "docker", is_account); }
Text optional_service_unit() {
  return optional(text_format("the name of a service unit", "buildkite-agent.service", is_unit));
}
Text program() { return text_format("a program's name or absolute path", "aws", is_program); }
Text optional_endpoint() {
  return optional(text_format("IP:PORT (port 0: any free one)", "127.0.0.1:9847", is_endpoint));
}
Text host_name() { return text_format("a host name", "ci-7.example.com", is_host); }

}  // namespace buildwarden::config
