// Child processes of tests: run to the end with a deadline, or kept and stopped. Each has a process group of its own.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/patience.h"

namespace buildwarden::testing {

struct CommandResult {
  int exit_code = -1;  // -1: killed by a signal or the deadline
  std::string out;     // stdout and stderr as they came
  double seconds = 0;
};

struct CommandOptions {
  std::map<std::string, std::string> env;             // on top of ours
  std::chrono::seconds deadline = 3 * kTestPatience;  // a script has many steps
};

// Runs a bash script text. Past the deadline its process group is killed.
CommandResult run_shell(const std::string& script, const CommandOptions& options = {});

// A process that goes on; its output goes to a file.
class BackgroundProcess {
 public:
  BackgroundProcess(const std::vector<std::string>& argv, const std::string& log_path,
                    const std::map<std::string, std::string>& env = {});
  ~BackgroundProcess();  // SIGKILL to its group, and waits
  BackgroundProcess(const BackgroundProcess&) = delete;
  BackgroundProcess& operator=(const BackgroundProcess&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void send(int signal) const;
  // Its exit code, or -1 when a signal ended it or `deadline` passed first (it is killed then).
  int wait(std::chrono::milliseconds deadline = kTestPatience);
  [[nodiscard]] bool running();

 private:
  pid_t pid_ = -1;
  int status_ = -1;
  bool reaped_ = false;
};

// Polls until `condition` holds; false when `deadline` passes first. For states of other processes, which no event
// tells. Most conditions start processes: the pause is three times what the last look took, so that those who wait
// leave the processors to those who are waited for.
template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds deadline = kTestPatience) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + deadline;
  for (auto looked = Clock::now(); !condition(); looked = Clock::now()) {
    if (Clock::now() >= end) return false;
    const auto pause = std::clamp<Clock::duration>(3 * (Clock::now() - looked), std::chrono::milliseconds{20},
                                                   std::chrono::milliseconds{500});
    std::this_thread::sleep_for(pause);
  }
  return true;
}

std::string read_text(const std::string& path);

}  // namespace buildwarden::testing
