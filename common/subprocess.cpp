#include "common/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <utility>

#include "common/unique_fd.h"

namespace buildwarden {
namespace {

using Steady = std::chrono::steady_clock;
constexpr int kLookForStop = 100;  // milliseconds

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> open_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Error::from_errno(errno, "making a pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// The end to read of a pipe that holds all of `text` already, so that nobody has to write while the program runs; none
// for an empty one. How much one takes without waiting is the kernel's to say (F_GETPIPE_SZ): 64 KiB, less where its
// owner has very many.
Result<UniqueFd> filled_pipe(const std::string& text) {
  if (text.empty()) return UniqueFd();
  auto ends = open_pipe();
  if (!ends) return std::move(ends).error();
  const auto most = ::fcntl(ends->write.get(), F_GETPIPE_SZ);
  if (most < 0) return Error::from_errno(errno, "asking how much a pipe takes");
  if (text.size() > static_cast<std::size_t>(most)) {
    return Error(Errc::kInvalid, "too much input for a program");
  }
  const auto written = ::write(ends->write.get(), text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) return Error::from_errno(errno, "writing to a pipe");
  return std::move(ends->read);
}

// The child's first actions and attributes.
class Setup {
 public:
  // `input` -1: it reads nothing.
  Setup(int input, int output, int errors) {
    ::posix_spawn_file_actions_init(&actions_);
    if (input < 0) ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (input >= 0) ::posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, errors, STDERR_FILENO);
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t usual;
    ::sigemptyset(&none);
    ::sigemptyset(&usual);
    ::sigaddset(&usual, SIGPIPE);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &usual);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~Setup() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  Setup(const Setup&) = delete;
  Setup& operator=(const Setup&) = delete;

  Result<pid_t> spawn(const std::vector<std::string>& command) {
    std::vector<char*> words;
    for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));  // NOLINT: as exec takes them
    words.push_back(nullptr);
    pid_t pid = 0;
    const int failed = ::posix_spawnp(&pid, words[0], &actions_, &attributes_, words.data(), environ);
    if (failed != 0) return Error::from_errno(failed, command[0]);
    return pid;
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

// False: the other side has closed it.
bool read_some(const UniqueFd& from, std::string& into) {
  std::array<char, 4096> bytes{};
  const auto got = ::read(from.get(), bytes.data(), bytes.size());
  if (got > 0) into.append(bytes.data(), static_cast<std::size_t>(got));
  return got > 0 || (got < 0 && errno == EINTR);
}

struct Outputs {
  UniqueFd output;
  UniqueFd errors;
};

// Reads until both ends are closed. A grandchild that keeps them open counts as the program.
Result<void> collect(Outputs from, ProgramEnd& end, Steady::time_point until, const std::stop_token& stop,
                     const ProgramCall& call) {
  while (from.output.open() || from.errors.open()) {
    if (stop.stop_requested()) return Error(Errc::kCancelled, "asked to stop");
    const auto left = std::chrono::ceil<Duration>(until - Steady::now()).count();
    if (left <= 0) return Error(Errc::kTimeout, "it did not end in time");
    std::array<pollfd, 2> ends = {{{from.output.get(), POLLIN, 0}, {from.errors.get(), POLLIN, 0}}};
    if (::poll(ends.data(), ends.size(), static_cast<int>(std::min<Duration::rep>(left, kLookForStop))) <= 0) continue;
    const auto before = end.output.size();
    if (ends[0].revents != 0 && !read_some(from.output, end.output)) from.output = UniqueFd();
    if (call.heard && end.output.size() > before) call.heard(end.output);
    if (ends[1].revents != 0 && !read_some(from.errors, end.errors)) from.errors = UniqueFd();
    if (static_cast<Bytes>(std::max(end.output.size(), end.errors.size())) > call.most) {
      return Error(Errc::kTooLarge, "it writes too much");
    }
  }
  return {};
}

// It closed its output, so its end is near; one that goes on all the same is waited for until then.
Result<void> await_end(pid_t pid, Steady::time_point until, const std::stop_token& stop) {
  const UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!handle.open()) return Error::from_errno(errno, "waiting for it");
  for (;;) {
    if (stop.stop_requested()) return Error(Errc::kCancelled, "asked to stop");
    const auto left = std::chrono::ceil<Duration>(until - Steady::now()).count();
    if (left <= 0) return Error(Errc::kTimeout, "it did not end in time");
    pollfd one{handle.get(), POLLIN, 0};
    if (::poll(&one, 1, static_cast<int>(std::min<Duration::rep>(left, kLookForStop))) > 0) return {};
  }
}

}  // namespace

Result<ProgramEnd> run_program(std::vector<std::string> command, Duration deadline, const std::stop_token& stop,
                               Bytes most) {
  ProgramCall call;
  call.command = std::move(command);
  call.deadline = deadline;
  call.most = most;
  return run_program(std::move(call), stop);
}

Result<ProgramEnd> run_program(ProgramCall call, const std::stop_token& stop) {
  if (call.command.empty()) return Error(Errc::kInvalid, "no program is named");
  const auto until = Steady::now() + call.deadline;
  auto input = filled_pipe(call.input);
  if (!input) return std::move(input).error();
  auto output = open_pipe();
  if (!output) return std::move(output).error();
  auto errors = open_pipe();
  if (!errors) return std::move(errors).error();
  const auto pid = Setup(input->get(), output->write.get(), errors->write.get()).spawn(call.command);
  if (!pid) return pid.error();
  *input = UniqueFd();
  output->write = UniqueFd();
  errors->write = UniqueFd();
  ProgramEnd end;
  auto done = collect({std::move(output->read), std::move(errors->read)}, end, until, stop, call);
  if (done) done = await_end(*pid, until, stop);
  if (!done) ::kill(-*pid, SIGKILL);
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) continue;
  if (!done) return std::move(done).error().with_context(call.command[0]);
  if (WIFEXITED(status)) end.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  return end;
}

}  // namespace buildwarden
