// Programs that others wrote, run and waited for. For a worker: it blocks.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/units.h"

namespace buildwarden {

struct ProgramEnd {
  int exit_code = -1;  // -1: a signal ended it
  int signal = 0;
  std::string output;  // stdout
  std::string errors;  // stderr
};

struct ProgramCall {
  std::vector<std::string> command;
  std::string input{};  // its stdin, at most what a pipe takes (64 KiB); "": it reads nothing
  Duration deadline{0};
  Bytes most = kMiB;                              // of its stdout, and as much of its stderr
  std::function<void(std::string_view)> heard{};  // all of its stdout so far, each time that there is more
};

// Runs `command` (the program by path or by PATH, then its arguments) in a process group of its own.
// At `deadline` and when `stop` is asked the whole group is killed: kTimeout, kCancelled. kNotFound, kDenied: it cannot
// be executed. kTooLarge: it writes more than `most`, and is killed; kInvalid: no command, or too much input. How it
// ended is no error.
Result<ProgramEnd> run_program(ProgramCall call, const std::stop_token& stop = {});
// The same, without input.
Result<ProgramEnd> run_program(std::vector<std::string> command, Duration deadline, const std::stop_token& stop = {},
                               Bytes most = kMiB);

}  // namespace buildwarden
