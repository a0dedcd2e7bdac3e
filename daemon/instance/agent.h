// The agent, reached through systemd.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "common/subprocess.h"
#include "daemon/policy/termination.h"

namespace buildwarden::instance {

// Of `unit`: its main process.
std::vector<std::string> show_command(const std::string& unit);
// `signal` ("SIGTERM") to the main process alone: its children are jobs.
std::vector<std::string> signal_command(const std::string& unit, const std::string& signal);
std::vector<std::string> start_command(const std::string& unit);

// What show_command() told. A unit that is not there has no process; what cannot be told is not known.
// `proc` is read for the process's start time.
policy::AgentFacts agent_of(const Result<ProgramEnd>& end, const std::string& proc = "/proc");

}  // namespace buildwarden::instance
