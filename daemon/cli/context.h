// All that a subcommand knows of the process around it, so that tests can give it another one.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/units.h"
#include "daemon/cli/terminal.h"

namespace buildwarden::cli {

// The meanings are part of the contract; scripts rely on them.
enum ExitCode : int {
  kYes = 0,
  kNo = 1,  // low, refused, target not reached, invalid configuration
  kUsage = 2,
  kUnreachable = 3,
  kDenied = 4,
};

inline constexpr std::string_view kDefaultSocket = "/run/buildwarden/api.sock";

struct Context {
  std::function<void(std::string_view)> out;                // stdout, as it is
  std::function<void(std::string_view)> err;                // stderr, as it is
  std::function<bool()> out_arrived = [] { return true; };  // whether all of stdout could be written
  std::function<std::string(const std::string&)> env;       // a variable's value, "" when it is not set
  std::function<std::string()> buildx_version;  // what `docker buildx version` prints here; "" when nobody can say
  bool out_is_terminal = false;
  std::function<Terminal()> terminal = [] { return Terminal{}; };  // of stdout, asked each time: windows change
  std::function<bool(Duration)> pause;                             // waits so long; false when there is to be an end
  Duration silence = std::chrono::seconds{2};                      // of a daemon that jobs do not wait longer for
  Duration patience = std::chrono::seconds{10};                    // of everyone else
  std::string socket{kDefaultSocket};
  bool json = false;  // print the daemon's own answer
};

// The process's own streams, environment and terminal.
Context process_context();

// One line on stderr, with the program's name in front; `text` may hold what a job sent (see visible()).
void complain(const Context& context, std::string_view text);

// A JSON document and the end of its line on stdout; what a job sent in it does not drive a terminal (visible_json()).
void print_json(const Context& context, std::string_view document);

}  // namespace buildwarden::cli
