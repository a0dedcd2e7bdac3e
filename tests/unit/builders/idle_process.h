// A process that does nothing, until it is told to.
#pragma once

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <stdexcept>

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
  void stop() const {
    ::kill(pid_, SIGSTOP);
    ::waitpid(pid_, nullptr, WUNTRACED);
  }

 private:
  pid_t pid_ = -1;
};

}  // namespace buildwarden::testing
