#include "daemon/emulation/launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "common/format.h"
#include "common/unique_fd.h"
#include "daemon/emulation/platform.h"

namespace buildwarden::emulation {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kLaunchPatience = std::chrono::seconds{3};
constexpr int kRefused = 127;  // the child's exit code when it could not execute; errno comes through a pipe

struct Run {
  std::string name;
  std::string file;
  pid_t pid = 0;
  UniqueFd trouble;  // tells errno of a failed execve, and nothing of one that worked
  UniqueFd handle;
};

// A new folder where programs may be executed: some machines forbid it in /tmp or /run.
std::string make_folder() {
  for (const std::string parent : {"/tmp", "/var/tmp", "/run", "/dev/shm"}) {
    struct statvfs about{};
    if (::statvfs(parent.c_str(), &about) != 0 || (about.f_flag & ST_NOEXEC) != 0) continue;
    std::string folder = parent + "/buildwarden-prove-XXXXXX";
    if (::mkdtemp(folder.data()) != nullptr) return folder;
  }
  return "";
}

bool write_program(const std::string& path, const Platform& platform) {
  const auto bytes = program_of(platform);
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700));
  return file.open() && ::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
}

[[noreturn]] void execute(const std::string& folder, const std::string& file, int trouble) {
  std::string called_by(kCalledBy);
  std::array<char*, 2> arguments = {called_by.data(), nullptr};
  std::array<char*, 1> environment = {nullptr};
  if (::chroot(folder.c_str()) == 0 && ::chdir("/") == 0) ::execve(file.c_str(), arguments.data(), environment.data());
  const int error = errno;
  static_cast<void>(!::write(trouble, &error, sizeof error));
  ::_exit(kRefused);
}

bool start(Run& run, const std::string& folder) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
  run.trouble = UniqueFd(ends[0]);
  const UniqueFd told(ends[1]);
  run.pid = ::fork();
  if (run.pid == 0) execute(folder, run.file, told.get());
  if (run.pid < 0) return false;
  run.handle = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, run.pid, 0)));
  return true;
}

std::string end_of(const Run& run, Clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  pollfd one{run.handle.get(), POLLIN, 0};
  const bool ended = ::poll(&one, 1, static_cast<int>(std::max<std::int64_t>(left, 0))) > 0;
  if (!ended) ::kill(run.pid, SIGKILL);
  int status = 0;
  while (::waitpid(run.pid, &status, 0) < 0 && errno == EINTR) continue;
  if (!ended) return "timeout";
  int error = 0;
  if (::read(run.trouble.get(), &error, sizeof error) == static_cast<ssize_t>(sizeof error)) {
    return format("error {}", std::strerror(error));
  }
  return WIFSIGNALED(status) ? format("signal {}", WTERMSIG(status)) : format("exit {}", WEXITSTATUS(status));
}

int fail(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  return EXIT_FAILURE;
}

policy::Proof proof_of(const Platform& platform, const std::string& end) {
  const bool by_path = end == format("exit {}", exit_code_by_path(platform));
  const bool ran = by_path || end == format("exit {}", exit_code_of(platform));
  return {ran ? policy::ProofResult::kRan : policy::ProofResult::kFailed, end, !by_path};
}

// The control is awaited first: what it says of the sandbox holds for the others.
int run_all(const std::string& folder, std::vector<Run>& runs) {
  for (auto& run : runs) {
    if (!start(run, folder)) return fail("no process could be made");
  }
  const auto until = Clock::now() + kLaunchPatience;
  for (const auto& run : runs) std::printf("%s %s\n", run.name.c_str(), end_of(run, until).c_str());
  return EXIT_SUCCESS;
}

}  // namespace

int launch(const std::vector<std::string>& names) {
  const auto* own = own_platform();
  if (own == nullptr) return fail("this machine's own platform is not known, so there is no control program for it");
  const auto folder = make_folder();
  if (folder.empty())
    return fail("there is no folder to execute programs in: /tmp, /var/tmp, /run and /dev/shm are noexec or full");
  std::vector<Run> runs;
  bool written = true;
  const auto add = [&](const std::string& name, const Platform& platform) {
    Run run;
    run.name = name;
    run.file = format("/{}", runs.size());
    written = written && write_program(folder + run.file, platform);
    runs.push_back(std::move(run));
  };
  add("control", *own);
  for (const auto& name : names) {
    if (const auto* platform = find_platform(name)) add(name, *platform);
  }
  const int code = written ? run_all(folder, runs) : fail(format("cannot write programs in {}", folder));
  for (const auto& run : runs) std::remove((folder + run.file).c_str());
  ::rmdir(folder.c_str());
  return code;
}

std::map<std::string, policy::Proof> read_proofs(std::string_view lines, const std::vector<std::string>& names) {
  std::map<std::string, std::string> told;
  while (!lines.empty()) {
    const auto line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    const auto space = line.find(' ');
    if (space != std::string_view::npos) told.emplace(line.substr(0, space), line.substr(space + 1));
  }
  const auto* own = own_platform();
  const bool good = own != nullptr && told["control"] == format("exit {}", exit_code_of(*own));
  std::map<std::string, policy::Proof> proofs;
  for (const auto& name : names) {
    auto& proof = proofs[name];
    const auto* platform = find_platform(name);
    const auto& end = told[name];
    if (!good || end.empty() || platform == nullptr) {
      const auto& control = told["control"];
      proof = {policy::ProofResult::kUnknown,
               good ? "its program was not executed" : format("the host's own program gave \"{}\"", control)};
      continue;
    }
    proof = proof_of(*platform, end);
  }
  return proofs;
}

}  // namespace buildwarden::emulation
