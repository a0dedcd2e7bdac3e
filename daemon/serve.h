// The process around the Daemon: configuration, log, signals, exit code.
#pragma once

#include "config/load.h"
#include "daemon/policy/termination.h"

namespace buildwarden {

// Runs until SIGTERM or SIGINT; SIGHUP loads the configuration again. 0: stopped as asked; 1: the configuration is
// refused (all mistakes on stderr), a socket cannot be opened, or the stop took longer than it may. Other `times` than
// the default ones are for tests.
int serve(const config::LoadRequest& request, const policy::TerminationTimes& times = {});

}  // namespace buildwarden
