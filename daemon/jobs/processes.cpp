#include "daemon/jobs/processes.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string_view>

#include "common/atomic_file.h"
#include "common/format.h"

namespace buildwarden::jobs {
namespace {

// In /proc/<pid>/stat, counted from 1; the second, the program's name, may hold blanks and parentheses.
constexpr int kFieldAfterName = 3;
constexpr int kFieldStart = 22;

std::string_view next_word(std::string_view& text) {
  const auto from = text.find_first_not_of(" \t\n");
  if (from == std::string_view::npos) return {};
  text.remove_prefix(from);
  const auto word = text.substr(0, text.find_first_of(" \t\n"));
  text.remove_prefix(word.size());
  return word;
}

template <class Number>
bool read_number(std::string_view word, Number& into) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), into);
  return error == std::errc{} && end == word.data() + word.size() && !word.empty();
}

// The kernel answers ESRCH when the process ends between the opening of a file and its reading.
Error gone_or(Error error, pid_t pid) {
  const bool gone = error.code() == Errc::kNotFound || error.message().find("No such process") != std::string::npos;
  if (gone) return {Errc::kNotFound, format("there is no process {}", pid)};
  return error;
}

}  // namespace

Result<ProcessFacts> Processes::look(pid_t pid) const {
  const auto folder = format("{}/{}", proc_, pid);
  auto stat = read_file(folder + "/stat", 64 * kKiB);
  if (!stat) return gone_or(std::move(stat).error(), pid);
  const auto name_end = stat->rfind(')');
  if (name_end == std::string::npos) return Error(Errc::kProtocol, format("{}/stat cannot be read", folder));
  std::string_view rest = std::string_view(*stat).substr(name_end + 1);
  const auto state = next_word(rest);
  if (state == "Z" || state == "X") return Error(Errc::kNotFound, format("process {} has ended", pid));
  std::string_view start;
  for (int field = kFieldAfterName + 1; field <= kFieldStart; ++field) start = next_word(rest);
  ProcessFacts facts;
  auto status = read_file(folder + "/status", 64 * kKiB);
  if (!status) return gone_or(std::move(status).error(), pid);
  const auto uid_line = status->find("\nUid:");
  std::string_view uid =
      uid_line == std::string::npos ? std::string_view{} : std::string_view(*status).substr(uid_line + 5);
  if (!read_number(start, facts.started) || !read_number(next_word(uid), facts.uid)) {
    return Error(Errc::kProtocol, format("{} cannot be understood", folder));
  }
  return facts;
}

Result<int> open_pidfd(pid_t pid) {
  const auto fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));  // close-on-exec by definition
  if (fd >= 0) return fd;
  if (errno == ESRCH) return Error(Errc::kNotFound, format("there is no process {}", pid));
  return Error::from_errno(errno, format("watch process {}", pid));
}

}  // namespace buildwarden::jobs
