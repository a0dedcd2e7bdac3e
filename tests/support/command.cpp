#include "tests/support/command.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace buildwarden::testing {
namespace {

using SteadyClock = std::chrono::steady_clock;

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> raw;
  raw.reserve(texts.size() + 1);
  for (const auto& text : texts) raw.push_back(const_cast<char*>(text.c_str()));  // NOLINT: posix_spawn's own type
  raw.push_back(nullptr);
  return raw;
}

std::vector<std::string> environment_with(std::map<std::string, std::string> added) {
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto name = text.substr(0, text.find('='));
    added.emplace(name, text.size() > name.size() ? text.substr(name.size() + 1) : "");
  }
  std::vector<std::string> all;
  for (const auto& [name, value] : added) all.push_back(name + "=" + value);
  return all;
}

// Tests start commands from several threads. So nothing is allocated between fork and exec: a lock that another thread
// held at that moment would hold the child for good, and with it the ends of its neighbours' pipes.
pid_t start(const std::vector<std::string>& argv, const std::map<std::string, std::string>& env, int output_fd) {
  const auto environment = environment_with(env);
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, output_fd, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, output_fd, STDERR_FILENO);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv.front().c_str(), &files, &attributes, pointers_to(argv).data(),
                                   pointers_to(environment).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  if (error != 0) throw std::runtime_error("cannot start " + argv.front() + ": " + std::strerror(error));
  return pid;
}

// Reads until the other end is closed or the deadline; true = closed.
bool drain(int fd, SteadyClock::time_point end, std::string& out) {
  char buffer[16384];
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - SteadyClock::now()).count();
    pollfd poll_fd{fd, POLLIN, 0};
    if (left <= 0 || ::poll(&poll_fd, 1, static_cast<int>(left)) == 0) return false;
    const auto count = ::read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    out.append(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace

CommandResult run_shell(const std::string& script, const CommandOptions& options) {
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
  const auto began = SteadyClock::now();
  const pid_t pid = start({"bash", "-c", script}, options.env, pipe_fds[1]);
  ::close(pipe_fds[1]);
  CommandResult result;
  const bool closed = drain(pipe_fds[0], began + options.deadline, result.out);
  if (!closed) {
    ::kill(-pid, SIGKILL);
    result.out += "\n[killed: deadline]";
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  ::close(pipe_fds[0]);
  if (closed && WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  result.seconds = std::chrono::duration<double>(SteadyClock::now() - began).count();
  return result;
}

BackgroundProcess::BackgroundProcess(const std::vector<std::string>& argv, const std::string& log_path,
                                     const std::map<std::string, std::string>& env) {
  const int fd = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) throw std::runtime_error("cannot write " + log_path);
  pid_ = start(argv, env, fd);
  ::close(fd);
}

BackgroundProcess::~BackgroundProcess() {
  if (reaped_) return;
  ::kill(-pid_, SIGKILL);
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
  }
}

void BackgroundProcess::send(int signal) const { ::kill(pid_, signal); }

bool BackgroundProcess::running() {
  if (!reaped_ && ::waitpid(pid_, &status_, WNOHANG) == pid_) reaped_ = true;
  return !reaped_;
}

int BackgroundProcess::wait(std::chrono::milliseconds deadline) {
  if (!eventually([this] { return !running(); }, deadline)) {
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
    return -1;
  }
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace buildwarden::testing
