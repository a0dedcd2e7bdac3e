#include "daemon/builders/toml.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#define TOML_EXCEPTIONS 0  // NOLINT: how the library is told to return its errors
#include <toml++/toml.h>

#include "common/format.h"
#include "daemon/builders/names.h"

namespace buildwarden::builders {
namespace {

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += format("\\u{:04X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out + '"';
}

// In bytes: of a percentage BuildKit makes whole gigabytes, one more than there are. Where the size of the filesystem
// that its volume is on is not known, in whole percents, which is all that BuildKit takes.
std::string cache_bound(const Amount& share, Bytes filesystem) {
  if (!share.is_share()) return std::to_string(share.absolute());
  if (filesystem > 0) return std::to_string(std::max<Bytes>(share.of(filesystem), 1));
  return format("\"{}%\"", std::max(1, static_cast<int>(std::floor(share.of_one() * 100 + 1e-9))));
}

// keepBytes is what BuildKit read up to 0.16; since 0.17 it is only a floor, and maxUsedSpace is the bound.
std::string bounded_rule(const std::string& bound, bool all) {
  return format("\n  [[worker.oci.gcpolicy]]\n{}    keepBytes = {}\n    reservedSpace = {}\n    maxUsedSpace = {}\n",
                all ? "    all = true\n" : "", bound, bound, bound);
}

// Naming rules replaces BuildKit's own, so the last one must bound all there is.
std::string worker_section(const BuilderSettings& builder, Bytes filesystem) {
  std::string out = "[worker.oci]\n  gc = true\n";
  if (builder.max_parallelism > 0) out += format("  max-parallelism = {}\n", builder.max_parallelism);
  const auto bound = cache_bound(builder.cache_share, filesystem);
  return out + bounded_rule(bound, false) + bounded_rule(bound, true);
}

std::string registry_section(const std::string& host, const RegistrySettings& registry) {
  std::string out = format("\n[registry.{}]\n", toml_string(host));
  if (!registry.mirrors.empty()) {
    std::string list;
    for (const auto& mirror : registry.mirrors) list += (list.empty() ? "" : ", ") + toml_string(mirror);
    out += format("  mirrors = [{}]\n", list);
  }
  if (registry.insecure) out += "  insecure = true\n";
  if (registry.http) out += "  http = true\n";
  if (!registry.ca.empty()) {
    out += format("  ca = [{}]\n", toml_string(format("{}/{}", kConfigFolderInside, certificate_file(host))));
  }
  return out;
}

// `ours` over `theirs`.
void lay_over(toml::table& theirs, const toml::table& ours) {
  for (const auto& [key, value] : ours) {
    auto* table = theirs[key.str()].as_table();
    if (table != nullptr && value.is_table()) {
      lay_over(*table, *value.as_table());
    } else {
      theirs.insert_or_assign(key.str(), value);
    }
  }
}

std::string own_toml(const BuilderSettings& builder, Bytes filesystem) {
  std::string out = worker_section(builder, filesystem);
  for (const auto& [host, registry] : builder.registries) out += registry_section(host, registry);
  // BuildKit keeps a finished build's attributes, among them the S3 keys of its cache, where every client of the
  // builder can read them. An age of one second empties the history at the next collection, two minutes at the latest.
  out += "\n[history]\n  maxAge = 1\n";
  // What is registered later is seen by the next question for the platforms, and not 20 seconds afterwards (from 0.14).
  return out + "\n[system]\n  platformsCacheMaxAge = \"1s\"\n";
}

// Both texts are TOML: the first was checked when the configuration was loaded, the second is ours.
std::string merged_toml(const std::string& theirs, const std::string& ours) {
  auto whole = toml::parse(theirs);
  const auto own = toml::parse(ours);
  if (!whole || !own) return ours;
  lay_over(whole.table(), own.table());
  std::ostringstream out;
  // In double quotes alone, as ours are: not all that reads it knows TOML's literal strings.
  constexpr auto kQuotes = toml::toml_formatter::default_flags & ~toml::format_flags::allow_literal_strings;
  out << toml::toml_formatter(whole.table(), kQuotes) << '\n';
  return out.str();
}

}  // namespace

std::string certificate_file(std::string_view registry_host) {
  std::string folder(registry_host);
  const auto harmless = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
  };
  std::replace_if(folder.begin(), folder.end(), [&](char c) { return !harmless(c); }, '_');
  if (folder == "." || folder == "..") folder = "_";
  return format("certs/{}/ca.pem", folder);
}

std::string buildkitd_toml(const BuilderSettings& builder, Bytes filesystem) {
  const auto head = format("# Written by buildwarden for builder {}; changes are lost.\n", builder.name);
  const auto own = own_toml(builder, filesystem);
  return head + (builder.buildkitd_text.empty() ? own : merged_toml(builder.buildkitd_text, own));
}

}  // namespace buildwarden::builders
