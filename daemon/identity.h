// Who the agent is on this machine: the group that may use the sockets.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/result.h"
#include "config/settings.h"

namespace buildwarden {

// The group of agent.group: "auto" is the primary group of agent.user; else a name or a number. kNotFound when this
// machine knows no such user or group (yet): then the sockets are root's alone.
Result<gid_t> agent_group(const AgentSettings& agent);

// The same for listen.group, whose "auto" is the agent's.
Result<gid_t> socket_group(const ListenSettings& listen, const AgentSettings& agent);

// Which key names a user or a group that this machine does not know, in one sentence; "" when none does. What is not
// set is no name: on a machine without an agent nobody knows it.
std::string unknown_account(const Settings& settings);

// agent.user, a name or a number. kNotFound when this machine knows no such user (yet).
Result<uid_t> agent_user(const AgentSettings& agent);

// Whether the agent's unit is installed on this machine: its parameters are then to be expected in cfn-env.
bool is_unit_installed(const std::string& unit);

}  // namespace buildwarden
