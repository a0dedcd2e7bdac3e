#include "config/builder_defaults.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "common/format.h"
#include "config/buildkitd_file.h"

namespace buildwarden::config {
namespace {

constexpr const char* kDockerHub = "docker.io";

Mistake mistake_in(const Origin& from, const std::string& key, const std::string& text) {
  const auto where = from.column > 0 ? format("{}:{}: ", from.location, from.column) : from.location + ": ";
  return {key, from.line, from.column, format("{}{}: {}", where, key, text)};
}

// The registries of one builder while they are completed; keys that somebody set, or `theirs`, stay as they are.
class RegistryDefaults {
 public:
  RegistryDefaults(BuilderSettings& builder, std::size_t index, const std::set<std::string>& theirs, Origins& origins)
      : registries_(builder.registries),
        key_(format("builders[{}].registries", index)),
        theirs_(theirs),
        origins_(origins) {}

  void mirrors(const std::vector<std::string>& urls, const Origin& from) {
    if (urls.empty() || is_set(kDockerHub, "mirrors")) return;
    for (const auto& url : urls) {
      const auto begin = url.find("://") + 3;
      auto host = url.substr(begin, url.find_last_not_of('/') + 1 - begin);
      if (url.starts_with("http://")) fill(host, "http", &RegistrySettings::http, from);
      registries_[kDockerHub].mirrors.push_back(std::move(host));
    }
    note(kDockerHub, "mirrors", from);
  }

  void insecure(const std::vector<std::string>& hosts, const Origin& from) {
    for (const auto& host : hosts) {
      // Who said how a registry is to be asked said it whole.
      if (is_set(host, "http") || is_set(host, "insecure") || is_set(host, "ca")) continue;
      fill(host, "http", &RegistrySettings::http, from);
      fill(host, "insecure", &RegistrySettings::insecure, from);
    }
  }

 private:
  [[nodiscard]] std::string key_of(std::string_view host, std::string_view name) const {
    return format("{}[{}].{}", key_, host, name);
  }
  [[nodiscard]] bool is_set(const std::string& host, std::string_view name) const {
    const auto known = origins_.find(key_of(host, name));
    return theirs_.contains(host) || (known != origins_.end() && known->second.source != kDaemonJson);
  }
  void note(std::string_view host, std::string_view name, const Origin& from) { origins_[key_of(host, name)] = from; }

  void fill(const std::string& host, std::string_view name, bool RegistrySettings::* flag, const Origin& from) {
    if (is_set(host, name)) return;
    registries_[host].*flag = true;
    note(host, name, from);
  }

  std::map<std::string, RegistrySettings>& registries_;
  std::string key_;
  const std::set<std::string>& theirs_;
  Origins& origins_;
};

Origin origin_of(const Merge& merge, const std::string& key) {
  const auto found = merge.origins.find(key);
  return found == merge.origins.end() ? Origin{} : found->second;
}

void add_proxies(BuilderSettings& builder, const std::string& key, Merge& merge) {
  for (const auto& [name, proxy] : merge.proxies) {
    auto small = name;
    std::transform(small.begin(), small.end(), small.begin(), [](unsigned char c) { return std::tolower(c); });
    // Any other one the engine tells itself, as it has it now.
    const bool has_login = proxy.address.find('@') != std::string::npos;
    if (!has_login || builder.env.contains(name) || builder.env.contains(small)) continue;
    builder.env[name] = proxy.address;
    merge.origins[format("{}[{}]", key, name)] = proxy.from;
  }
}

}  // namespace

std::vector<Mistake> complete_builders(Merge& merge) {
  std::vector<Mistake> mistakes;
  const auto& engine = merge.settings.engine;
  auto& builders = merge.settings.builders;
  for (std::size_t i = 0; i < builders.size(); ++i) {
    std::set<std::string> theirs;
    const auto& path = builders[i].buildkitd_toml;
    if (!path.empty()) {
      const auto key = format("builders[{}].buildkitd_toml", i);
      auto file = read_buildkitd_file(path);
      if (!file) mistakes.push_back(mistake_in(origin_of(merge, key), key, file.error().message()));
      if (file) builders[i].buildkitd_text = std::move(file->text);
      if (file) theirs = std::move(file->registries);
    }
    add_proxies(builders[i], format("builders[{}].env", i), merge);
    RegistryDefaults defaults(builders[i], i, theirs, merge.origins);
    defaults.mirrors(engine.registry_mirrors, origin_of(merge, "engine.registry_mirrors"));
    defaults.insecure(engine.insecure_registries, origin_of(merge, "engine.insecure_registries"));
  }
  return mistakes;
}

}  // namespace buildwarden::config
