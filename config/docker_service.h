// The proxies that dockerd is given by its unit: drop-ins of docker.service, as docker's documentation has them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/env_files.h"
#include "config/merge.h"

namespace buildwarden::config {

// What `Environment=` of section [Service] sets (systemd.exec(5)), without expanding any specifier but %%. An empty
// assignment forgets what stood before it: `forgets`, and what of this text is left counts.
struct UnitEnvironment {
  std::map<std::string, Variable> by_name;
  bool forgets = false;
};
UnitEnvironment parse_unit_environment(std::string_view text);

// The *.conf of the folder, in systemd's order; none where it cannot be read.
std::vector<std::string> drop_ins_of(const std::string& folder);

// The proxies of the folder's drop-ins into Merge::proxies, but where daemon.json has them; dockerd takes its own
// file's first. Never a warning with a value.
void apply_docker_service(const std::string& folder, Merge& merge);

}  // namespace buildwarden::config
