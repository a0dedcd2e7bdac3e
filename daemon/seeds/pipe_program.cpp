#include "daemon/seeds/pipe_program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "common/format.h"

namespace buildwarden::seeds {
namespace {

constexpr int kCannotExecute = 127;
constexpr std::size_t kMostErrorText = 4096;

// Between fork and exec of a process with threads: calls of the kernel alone.
[[noreturn]] void become(char* const* words, int theirs, int target, int errors) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::signal(SIGPIPE, SIG_DFL);
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (nothing < 0) ::_exit(kCannotExecute);
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO}) ::dup2(standard == target ? theirs : nothing, standard);
  ::dup2(errors, STDERR_FILENO);
  ::execvp(words[0], words);
  ::_exit(kCannotExecute);
}

}  // namespace

Result<PipeProgram> PipeProgram::start(const std::vector<std::string>& command, Direction direction) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Error::from_errno(errno, "making a pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  UniqueFd errors(::memfd_create("words", MFD_CLOEXEC));
  if (!errors.open()) return Error::from_errno(errno, "making a file in memory");
  std::vector<char*> words;
  for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));  // NOLINT: as exec takes them
  words.push_back(nullptr);
  const bool from_it = direction == Direction::kFromIt;
  const pid_t pid = ::fork();
  if (pid < 0) return Error::from_errno(errno, "starting a program");
  if (pid == 0) {
    become(words.data(), from_it ? write_end.get() : read_end.get(), from_it ? STDOUT_FILENO : STDIN_FILENO,
           errors.get());
  }
  return PipeProgram(pid, std::move(from_it ? read_end : write_end), std::move(errors));
}

PipeProgram::PipeProgram(PipeProgram&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), ours_(std::move(other.ours_)), errors_(std::move(other.errors_)) {}

PipeProgram::~PipeProgram() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
}

Result<void> PipeProgram::finish() {
  ours_ = UniqueFd();
  const pid_t pid = std::exchange(pid_, 0);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFEXITED(status) && WEXITSTATUS(status) == kCannotExecute && words().empty()) {
    return Error(Errc::kNotFound, "the program is not there");
  }
  return Error(Errc::kIo, words());
}

std::string PipeProgram::words() const {
  std::string text(kMostErrorText, '\0');
  const auto size = ::pread(errors_.get(), text.data(), text.size(), 0);
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
}

}  // namespace buildwarden::seeds
