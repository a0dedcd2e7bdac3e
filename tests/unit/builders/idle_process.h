// A process that does nothing, until it is told to.
#pragma once

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <string>

#include "tests/support/command.h"

namespace buildwarden::testing {

class IdleProcess {
 public:
  // By default it waits for its end.
  explicit IdleProcess(const char* script = "exec sleep 600") {
    std::array<const char*, 4> words{"sh", "-c", script, nullptr};
    if (::posix_spawn(&pid_, "/bin/sh", nullptr, nullptr, const_cast<char**>(words.data()), environ) != 0) {
      throw std::runtime_error("no process can be started");
    }
  }
  ~IdleProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  IdleProcess(const IdleProcess&) = delete;
  IdleProcess& operator=(const IdleProcess&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Of a script that ends as a sleep: until then it is at work, by what the kernel tells.
  void wait_until_asleep() const {
    const auto asleep = [this] {
      std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
      std::string line;
      return std::getline(file, line) && line.find("(sleep) S") != std::string::npos;
    };
    if (!eventually(asleep, std::chrono::seconds{30})) throw std::runtime_error("it never sleeps");
  }
  void stop() const {
    ::kill(pid_, SIGSTOP);
    ::waitpid(pid_, nullptr, WUNTRACED);
  }

 private:
  pid_t pid_ = -1;
};

}  // namespace buildwarden::testing
