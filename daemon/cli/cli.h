// The command line: the daemon's client, and the door to `serve`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/load.h"
#include "daemon/cli/context.h"

namespace buildwarden::cli {

// What `serve` was asked for. `load.overrides` already holds the command line's keys (dry_run, listen.socket).
struct ServeOptions {
  config::LoadRequest load;
  bool dry_run = false;
};

// Runs the daemon and gives the process's exit code. Passed in, so that the client never links the daemon.
using ServeFunction = std::function<int(const ServeOptions&)>;

// main()'s work: the exit code is one of ExitCode, or what `serve` gave.
int run(int argc, char** argv, const ServeFunction& serve);

// The same on a given surrounding; `arguments` without the program's name.
int run(const std::vector<std::string>& arguments, Context context, const ServeFunction& serve);

}  // namespace buildwarden::cli
