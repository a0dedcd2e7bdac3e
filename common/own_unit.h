// Programs that the daemon's own unit may not run (a network, another root): each gets a unit of its own.
#pragma once

#include <string>
#include <vector>

namespace buildwarden {

// Whether systemd started this process: then what our unit forbids is done in units of their own.
bool is_service();

// The path of this program, for its own further modes. An update may have taken the file away and put the new one in
// its place.
std::string own_program();

// `command` as it is to be run: under systemd by systemd-run, whose unit ends with it and is forgotten; else as it is.
// The environment of such a unit is systemd's own, so variables belong into the command.
// `properties` are the unit's, as systemd-run(1) takes them: "NoNewPrivileges=yes".
std::vector<std::string> in_own_unit(std::vector<std::string> command, const std::vector<std::string>& properties = {});

}  // namespace buildwarden
