// From files to one validated Settings, and for each value where it came from.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "config/settings.h"
#include "config/sources.h"

namespace buildwarden::config {

// One effective value. `source` is spelled as in config/README.md: default, daemon.json, docker.service,
// docker-binfmt.env, cfn-env (of set_unless_present), agent-env, cfn-env (of set_always), yaml, command-line.
// `location` is "file:line" or "" for a default.
struct EffectiveValue {
  std::string key;
  std::string value;
  std::string source;
  std::string location;
  std::string after_restart;  // of a daemon that reloaded: another value of this key waits for its next start; else ""
};

struct Loaded {
  Settings settings;
  std::vector<EffectiveValue> values;   // every key, in the order of the schema
  std::vector<std::string> warnings;    // bad values in env files, which are never fatal; `distrusted` too
  std::vector<std::string> distrusted;  // files that do not count, see Sources
  SourceTexts texts;                    // for the next load
  bool cfn_env_read = false;            // it was there and had variables: the operator's parameters are known
};

struct LoadRequest {
  std::string yaml_path = "/etc/buildwarden/buildwarden.yaml";
  bool yaml_required = false;                    // named on the command line: an absent file is then an error
  std::map<std::string, std::string> overrides;  // command line: key → value, wins over everything
  Sources sources;                               // what counted before, in a load while the daemon runs
  // Of a process whose environment is the agent's: DISK_MIN_*, where the agent's env file does not say them. Never of
  // the daemon.
  std::map<std::string, std::string> environment;
  // Whether DISK_MIN_* of the agent's env file count. A script of the stack knows them by its environment alone: the
  // agent's hooks have them from systemd, the hourly timer's service does not read the file.
  bool marks_of_env_file = true;
};

// Reads the YAML first (it says where the other files are), then merges by precedence. Absent env files are fine.
// kInvalid carries all mistakes, one a line.
Result<Loaded> load(const LoadRequest& request);

// The answer of `config check` for people: key, value, source and location in columns.
std::string describe(const Loaded& loaded);
// The same as JSON: {"settings":[{key, value, source, location}],"warnings":[…]}; `after_restart` only where it is set.
std::string describe_json(const Loaded& loaded);

}  // namespace buildwarden::config
