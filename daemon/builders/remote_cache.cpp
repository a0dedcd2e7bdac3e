#include "daemon/builders/remote_cache.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/format.h"

namespace buildwarden::builders {
namespace {

constexpr std::size_t kLongestName = 128;

using Attributes = std::vector<std::pair<std::string, std::string>>;

// buildx reads one line of CSV: an attribute with a comma or a quote in it is quoted, its quotes doubled.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

std::string joined(const Attributes& attributes) {
  std::string out;
  for (const auto& [name, value] : attributes) {
    if (value.empty()) continue;
    if (!out.empty()) out += ',';
    out += csv_field(format("{}={}", name, value));
  }
  return out;
}

// BuildKit sets it before "blobs/…" as it is.
std::string as_folder(std::string prefix) {
  if (!prefix.empty() && prefix.back() != '/') prefix += '/';
  return prefix;
}

Attributes s3_source(const CacheSettings& cache, const std::string& cache_name) {
  return {{"type", "s3"},
          {"region", cache.region},
          {"bucket", cache.bucket},
          {"prefix", as_folder(cache.prefix)},
          {"name", cache_name},
          {"endpoint_url", cache.endpoint_url},
          {"use_path_style", cache.use_path_style ? "true" : ""}};
}

// A tag that the configured reference has already is replaced; a colon before the last slash is a port.
std::string with_tag(const std::string& reference, const std::string& tag) {
  if (tag.empty()) return reference;
  const auto slash = reference.rfind('/');
  const auto colon = reference.find(':', slash == std::string::npos ? 0 : slash);
  return reference.substr(0, colon) + ":" + tag;
}

Attributes registry_source(const CacheSettings& cache, const std::string& cache_name) {
  return {{"type", "registry"}, {"ref", with_tag(cache.ref, cache_name)}};
}

}  // namespace

bool is_cache_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  };
  const bool led_by_punctuation = !name.empty() && (name.front() == '.' || name.front() == '-');
  return name.size() <= kLongestName && !led_by_punctuation && std::all_of(name.begin(), name.end(), fits);
}

std::map<std::string, std::string> cache_env(const CacheSettings& cache, const std::string& cache_name) {
  if (cache.type == CacheType::kNone) return {};
  const bool s3 = cache.type == CacheType::kS3;
  const auto from = s3 ? s3_source(cache, cache_name) : registry_source(cache, cache_name);
  auto to = from;
  to.emplace_back("mode", cache.mode);
  if (!s3) {  // what ECR takes
    to.emplace_back("image-manifest", "true");
    to.emplace_back("oci-mediatypes", "true");
  }
  to.emplace_back("ignore-error", cache.ignore_error ? "true" : "");
  return {{"BUILDWARDEN_CACHE_FROM", joined(from)}, {"BUILDWARDEN_CACHE_TO", joined(to)}};
}

}  // namespace buildwarden::builders
