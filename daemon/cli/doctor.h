// What may be wrong with this machine, found by looking: one finding a fact, and for each that is wrong what to do.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.h"
#include "daemon/cli/account.h"
#include "daemon/cli/client.h"

namespace buildwarden::cli {

enum class Level : std::uint8_t { kOk, kWarning, kError };
std::string_view to_string(Level level);

struct Finding {
  Level level = Level::kOk;
  std::string text;      // one line
  std::string fix{};     // one line; "" when it is ok
  bool follows = false;  // another check looks at its cause
};
using Findings = std::vector<Finding>;

// Asks for a path and gives any answer; an error when nobody answers.
using Ask = std::function<Result<Answer>(const std::string& target)>;

// All that a check knows. Checks change nothing.
struct Scene {
  config::LoadRequest
      config;               // the file that was asked for; without one that of the daemon, and what it was started with
  std::string daemon_file;  // the one that the running daemon says it reads; "" when nobody says
  Settings settings;        // the defaults when the configuration is invalid
  std::string socket;
  std::function<std::string(const std::string&)> env;
  Ask daemon;
  Ask engine;
  Result<Account> agent = Error(Errc::kNotFound, "no user was looked for");
  // Where buildx is found with an empty DOCKER_CONFIG, and a person's own place, where it is not found then.
  std::vector<std::string> plugin_folders;
  std::string own_plugins;
  std::function<std::string(const std::string& program)> version;  // what `PROGRAM version` prints; "" when it fails
  std::string meminfo = "/proc/meminfo";
  std::string temp = "/tmp";
};

struct Check {
  std::string_view name;
  Findings (*look)(const Scene& scene);
};

Findings check_configuration(const Scene& scene);
Findings check_daemon(const Scene& scene);
Findings check_space(const Scene& scene);
Findings check_engine(const Scene& scene);
Findings check_keep(const Scene& scene);
Findings check_tools(const Scene& scene);
Findings check_agent(const Scene& scene);
Findings check_builders(const Scene& scene);
Findings check_cache(const Scene& scene);
Findings check_reach(const Scene& scene);
Findings check_logins(const Scene& scene);
Findings check_seeds(const Scene& scene);
Findings check_emulation(const Scene& scene);
Findings check_temporary(const Scene& scene);

// In the order in which they are shown.
inline constexpr std::array kChecks = {
    Check{"configuration", check_configuration},
    Check{"daemon", check_daemon},
    Check{"disk", check_space},
    Check{"engine", check_engine},
    Check{"keep", check_keep},
    Check{"tools", check_tools},
    Check{"agent", check_agent},
    Check{"builders", check_builders},
    Check{"cache", check_cache},
    Check{"reach", check_reach},
    Check{"logins", check_logins},
    Check{"seeds", check_seeds},
    Check{"emulation", check_emulation},
    Check{"temporary", check_temporary},
};

Scene look_around(const Context& context, const config::LoadRequest& config);
// Prints what the checks find, and at the end the one thing to do first; kNo when one of the findings is an error.
int report_findings(const Context& context, const Scene& scene, std::span<const Check> checks);

// The path of a program that PATH leads to; "" without one.
std::string program_in_path(const Scene& scene, const std::string& name);

// Parts of check_engine() and check_space(), by what the engine's /info and the daemon's /v1/disk say.
Findings of_address_pools(const Scene& scene, const boost::json::value& info);
Findings of_unnamed_volumes(const Scene& scene);
Findings of_image_store(const boost::json::value& disk);

Finding fine(std::string text);
Finding warning(std::string text, std::string fix);
Finding error(std::string text, std::string fix);

}  // namespace buildwarden::cli
