// The settings while the sources are laid over one another, and the weaker sources themselves. None of these ever
// fails: what is wrong in them becomes a warning, and the value stays what it was.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/layer.h"
#include "config/settings.h"
#include "config/sources.h"

namespace buildwarden::config {

// How EffectiveValue::source spells them.
inline constexpr const char* kDaemonJson = "daemon.json";
inline constexpr const char* kDockerService = "docker.service";
inline constexpr const char* kBinfmtEnv = "docker-binfmt.env";
inline constexpr const char* kCfnEnv = "cfn-env";
inline constexpr const char* kAgentEnv = "agent-env";
inline constexpr const char* kYaml = "yaml";
inline constexpr const char* kCommandLine = "command-line";

// A proxy of dockerd's, and who said so.
struct EngineProxy {
  std::string address;
  Origin from;
};

struct Merge {
  Sources sources;
  Settings settings;
  Origins origins;
  std::map<std::string, EngineProxy> proxies;  // by variable: "HTTPS_PROXY"
  std::vector<std::string> warnings;
  bool cfn_env_read = false;                       // with variables in it
  std::map<std::string, std::string> environment;  // LoadRequest::environment
  bool marks_of_env_file = true;                   // LoadRequest::marks_of_env_file
};

// `data-root`, `userns-remap`, `registry-mirrors`, `insecure-registries` and `proxies` of the engine's own
// configuration; an absent file changes nothing.
void apply_daemon_json(const std::string& path, Merge& merge);
// The image that docker-binfmt.service runs: the variable BINFMT_IMAGE, with any prefix, or IMAGE.
void apply_binfmt_env(const std::string& path, Merge& merge);
// cfn-env and the agent's env file, in the order in which a hook of the stack has them: what cfn-env sets always wins.
void apply_stack_env(const PathSettings& paths, Merge& merge);

}  // namespace buildwarden::config
