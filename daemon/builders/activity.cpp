#include "daemon/builders/activity.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "common/atomic_file.h"
#include "common/format.h"

namespace buildwarden::builders {
namespace {

constexpr std::size_t kMostThreads = 1000;

// Its time on the CPU: the first number.
Result<std::uint64_t> cpu_time(const std::string& thread) {
  const auto text = read_file(thread + "/schedstat");
  if (!text) return text.error();
  std::uint64_t nanoseconds = 0;
  if (!(std::istringstream(*text) >> nanoseconds)) return Error(Errc::kProtocol, thread + "/schedstat has no number");
  return nanoseconds;
}

// The letter after the name, which stands in brackets and may hold anything.
Result<char> state_of(const std::string& thread) {
  const auto text = read_file(thread + "/stat");
  if (!text) return text.error();
  const auto end = text->rfind(") ");
  if (end == std::string::npos || end + 2 >= text->size()) return Error(Errc::kProtocol, thread + "/stat has no state");
  return (*text)[end + 2];
}

Result<void> add_children(const std::string& thread, std::vector<pid_t>& processes) {
  const auto text = read_file(thread + "/children");
  if (!text) return text.error();
  std::istringstream in(*text);
  for (pid_t child = 0; in >> child;) processes.push_back(child);
  return {};
}

bool is_stop(char state) { return state == 'T' || state == 't'; }

Result<void> add_thread(const std::string& thread, Activity& total) {
  const auto time = cpu_time(thread);
  if (!time) return time.error();
  const auto state = state_of(thread);
  if (!state) return state.error();
  total.cpu_nanoseconds += *time;
  ++total.threads;
  total.waits_for_disk = total.waits_for_disk || *state == 'D';
  total.stopped = total.stopped && is_stop(*state);
  return {};
}

}  // namespace

Result<Activity> activity_of(pid_t pid, Reach reach) {
  Activity total;
  total.process = pid;
  total.stopped = true;
  std::vector<pid_t> processes{pid};
  while (!processes.empty()) {
    const auto folder = format("/proc/{}/task", processes.back());
    processes.pop_back();
    std::error_code error;
    std::filesystem::directory_iterator at(folder, error);
    for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
      auto added = add_thread(at->path().string(), total);
      if (added && reach == Reach::kDescendants) added = add_children(at->path().string(), processes);
      if (!added) return std::move(added).error();  // one that ends at this moment, too: something happens
      if (total.threads > kMostThreads) return Error(Errc::kTooLarge, format("{} has too many threads", folder));
    }
    if (error) return Error::from_errno(error.value(), format("list {}", folder));
  }
  return total;
}

bool is_stopped(pid_t pid) {
  const auto state = state_of(format("/proc/{}", pid));
  return state && is_stop(*state);
}

Result<bool> sees_other_folder(pid_t pid, const std::string& inside, const std::string& folder) {
  const auto path = format("/proc/{}/root{}", pid, inside);
  struct stat seen{};
  if (::stat(path.c_str(), &seen) != 0) return Error::from_errno(errno, path);
  struct stat host{};
  if (::stat(folder.c_str(), &host) != 0) {
    if (errno == ENOENT) return true;
    return Error::from_errno(errno, folder);
  }
  return seen.st_dev != host.st_dev || seen.st_ino != host.st_ino;
}

}  // namespace buildwarden::builders
