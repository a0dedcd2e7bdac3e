#include "config/changes.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "common/format.h"
#include "config/docker_service.h"

namespace buildwarden::config {
namespace {

constexpr std::array<std::string_view, 14> kAtStartOnly = {
    "agent.user",    "agent.group", "engine.docker_config", "engine.socket",     "listen.allowed_hosts", "listen.group",
    "listen.socket", "listen.tcp",  "log.format",           "paths.binfmt_misc", "paths.builds",         "paths.images",
    "paths.run",     "paths.state",
};

// The settings of exactly those keys; a test holds the two together.
void keep_in_force(const Settings& in_force, Settings& fresh) {
  fresh.agent.user = in_force.agent.user;
  fresh.agent.group = in_force.agent.group;
  fresh.engine.docker_config = in_force.engine.docker_config;
  fresh.engine.socket = in_force.engine.socket;
  fresh.listen = in_force.listen;
  fresh.log.format = in_force.log.format;
  fresh.paths.binfmt_misc = in_force.paths.binfmt_misc;
  fresh.paths.builds = in_force.paths.builds;
  fresh.paths.images = in_force.paths.images;
  fresh.paths.run = in_force.paths.run;
  fresh.paths.state = in_force.paths.state;
}

std::map<std::string_view, const EffectiveValue*> by_key(const Loaded& loaded) {
  std::map<std::string_view, const EffectiveValue*> values;
  for (const auto& value : loaded.values) values[value.key] = &value;
  return values;
}

std::string told(const EffectiveValue& value) {
  return value.location.empty() ? format("{} ({})", value.value, value.source)
                                : format("{} ({} {})", value.value, value.source, value.location);
}

// What differs without a row that shows it: a secret in a builder's variables, the text of its buildkitd.toml.
void add_unshown(const Settings& before, const Settings& after, std::vector<Change>& changes) {
  const auto count = std::min(before.builders.size(), after.builders.size());
  for (std::size_t i = 0; i < count; ++i) {
    const auto& old = before.builders[i];
    const auto& fresh = after.builders[i];
    if (old.name != fresh.name) continue;
    const auto add = [&](std::string key) {
      const bool told =
          std::any_of(changes.begin(), changes.end(), [&](const Change& one) { return one.key.starts_with(key); });
      if (!told) changes.push_back({std::move(key), "as it was", "changed", false});
    };
    if (old.env != fresh.env) add(format("builders[{}].env", i));
    if (old.buildkitd_text != fresh.buildkitd_text) add(format("builders[{}].buildkitd_toml", i));
  }
}

}  // namespace

bool needs_restart(std::string_view key) {
  return std::find(kAtStartOnly.begin(), kAtStartOnly.end(), key) != kAtStartOnly.end();
}

std::vector<Change> compare(const Loaded& in_force, const Loaded& fresh) {
  std::vector<Change> changes;
  const auto old_values = by_key(in_force);
  for (const auto& value : fresh.values) {
    const auto old = old_values.find(value.key);
    if (old == old_values.end()) {
      changes.push_back({value.key, "", told(value), false});
    } else if (old->second->value != value.value && old->second->after_restart != value.value) {
      changes.push_back({value.key, told(*old->second), told(value), needs_restart(value.key)});
    }
  }
  const auto new_values = by_key(fresh);
  for (const auto& value : in_force.values) {
    if (!new_values.contains(value.key)) changes.push_back({value.key, told(value), "", false});
  }
  add_unshown(in_force.settings, fresh.settings, changes);
  return changes;
}

void adopt(Loaded& in_force, Loaded fresh) {
  const auto old_values = by_key(in_force);
  for (auto& value : fresh.values) {
    const auto old = old_values.find(value.key);
    if (!needs_restart(value.key) || old == old_values.end()) continue;
    auto wanted = std::exchange(value, *old->second);
    value.after_restart = wanted.value == value.value ? std::string() : std::move(wanted.value);
  }
  keep_in_force(in_force.settings, fresh.settings);
  in_force = std::move(fresh);
}

std::vector<std::string> files_of(const LoadRequest& request, const Settings& settings) {
  const auto& paths = settings.paths;
  std::error_code unknown;  // then it stays as it is written
  const auto yaml = std::filesystem::absolute(request.yaml_path, unknown);
  std::vector<std::string> files = {unknown ? request.yaml_path : yaml.string(), paths.cfn_env, paths.agent_env,
                                    paths.daemon_json, paths.docker_binfmt_env};
  // docker's documentation calls it so; it may not be there yet.
  files.push_back(paths.docker_drop_ins + "/http-proxy.conf");
  for (auto& drop_in : drop_ins_of(paths.docker_drop_ins)) {
    if (drop_in != files.back()) files.push_back(std::move(drop_in));
  }
  for (const auto& builder : settings.builders) {
    const auto& file = builder.buildkitd_toml;
    if (!file.empty() && std::find(files.begin(), files.end(), file) == files.end()) files.push_back(file);
  }
  return files;
}

}  // namespace buildwarden::config
