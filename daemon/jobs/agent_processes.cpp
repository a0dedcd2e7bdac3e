#include "daemon/jobs/agent_processes.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <string_view>
#include <tuple>

#include "common/atomic_file.h"
#include "common/format.h"
#include "daemon/jobs/processes.h"

namespace buildwarden::jobs {
namespace fs = std::filesystem;

namespace {

constexpr pid_t kInit = 1;
constexpr Bytes kMostAgentEnvironment = 16 * kMiB;  // the kernel's own bound is a quarter of the stack's
constexpr std::string_view kAgentProgram = "buildkite-agent";

// A process as far as it matters whether it is the agent's.
struct Member {
  pid_t pid = 0;
  pid_t parent = 0;
  std::string program;
  bool in_unit = false;
  bool of_user = false;
  JobProcess job;
};

std::string_view line_of(std::string_view status, std::string_view key) {
  const auto at = status.starts_with(key) ? 0 : status.find(format("\n{}", key));
  if (at == std::string_view::npos) return {};
  auto rest = status.substr(status.find(':', at) + 1);
  rest = rest.substr(0, rest.find('\n'));
  const auto from = rest.find_first_not_of(" \t");
  return from == std::string_view::npos ? std::string_view{} : rest.substr(from);
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end != text.data() ? std::optional<Number>(value) : std::nullopt;
}

// Whether a line such as "0::/system.slice/buildkite-agent.service/nested" names the unit.
bool names_unit(std::string_view cgroups, const std::string& unit) {
  if (unit.empty()) return false;
  const auto part = "/" + unit;
  for (auto at = cgroups.find(part); at != std::string_view::npos; at = cgroups.find(part, at + 1)) {
    const auto after = at + part.size();
    if (after == cgroups.size() || cgroups[after] == '/' || cgroups[after] == '\n') return true;
  }
  return false;
}

class Scan {
 public:
  Scan(const AgentOnHost& agent, Now now, std::string proc) : agent_(agent), now_(now), proc_(std::move(proc)) {}

  Result<std::vector<JobProcess>> run() {
    if (auto found = find_members(); !found) return std::move(found).error();
    const bool has_unit =
        std::any_of(members_.begin(), members_.end(), [](const auto& one) { return one.second.in_unit; });
    std::erase_if(members_,
                  [has_unit](const auto& one) { return has_unit ? !one.second.in_unit : !one.second.of_user; });
    for (auto at = members_.begin(); at != members_.end();) {
      auto read = read_environment(at->second);
      if (!read) return std::move(read).error();
      at = *read ? std::next(at) : members_.erase(at);
    }
    for (const auto& [pid, member] : members_) {
      if (is_job(member)) note(member.job);
    }
    std::vector<JobProcess> jobs;
    for (auto& [key, job] : jobs_) jobs.push_back(std::move(job));
    return jobs;
  }

 private:
  Result<void> find_members() {
    std::error_code error;
    for (fs::directory_iterator entry(proc_, error), end; !error && entry != end; entry.increment(error)) {
      const auto pid = number_of<pid_t>(entry->path().filename().string());
      if (!pid || *pid == kInit || *pid == ::getpid()) continue;
      if (auto looked = look_at(*pid); !looked) return looked;
    }
    if (error) return Error(Errc::kIo, format("read {}: {}", proc_, error.message()));
    return {};
  }

  // Of one that is gone by now nothing is known, and nothing matters.
  Result<std::optional<std::string>> read(pid_t pid, const char* file) const {
    auto text = read_file(format("{}/{}/{}", proc_, pid, file), kMostAgentEnvironment);
    if (text) return std::optional<std::string>(*std::move(text));
    std::error_code error;
    const bool gone = text.error().code() == Errc::kNotFound ||
                      text.error().message().find("No such process") != std::string::npos ||
                      !fs::exists(format("{}/{}", proc_, pid), error);
    if (gone) return std::optional<std::string>();
    return std::move(text).error().with_context(format("nobody knows whose job process {} is of", pid));
  }

  Result<void> look_at(pid_t pid) {
    const auto status = read(pid, "status");
    if (!status) return status.error();
    const auto cgroups = read(pid, "cgroup");
    if (!cgroups) return cgroups.error();
    if (!*status || !*cgroups) return {};
    Member member;
    member.pid = pid;
    member.program = line_of(**status, "Name:");
    member.parent = number_of<pid_t>(line_of(**status, "PPid:")).value_or(0);
    member.in_unit = names_unit(**cgroups, agent_.unit);
    const auto uid = number_of<uid_t>(line_of(**status, "Uid:"));
    member.of_user = uid && agent_.user && *uid == *agent_.user;
    const bool ended = line_of(**status, "State:").starts_with('Z');
    if (!ended && (member.in_unit || member.of_user)) members_.emplace(pid, std::move(member));
    return {};
  }

  // Whether it is still there.
  Result<bool> read_environment(Member& member) const {
    const auto text = read(member.pid, "environ");
    if (!text) return text.error();
    const auto facts = Processes(proc_).look(member.pid);
    if (!facts && facts.error().code() != Errc::kNotFound) return facts.error();
    if (!*text || !facts) return false;
    auto& job = member.job;
    job.pid = member.pid;
    job.job = value_of(**text, "BUILDKITE_JOB_ID=");
    job.agent = value_of(**text, "BUILDKITE_AGENT_NAME=");
    job.checkout = value_of(**text, "BUILDKITE_BUILD_CHECKOUT_PATH=");
    const auto ticks = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
    const auto started = BootTime{Duration{static_cast<Duration::rep>(facts->started * 1000 / ticks)}};
    job.since = now_.wall - (now_.boot - started);
    return true;
  }

  static std::string value_of(std::string_view environment, std::string_view key) {
    while (!environment.empty()) {
      const auto entry = environment.substr(0, environment.find('\0'));
      if (entry.starts_with(key)) return std::string(entry.substr(key.size()));
      environment.remove_prefix(std::min(entry.size() + 1, environment.size()));
    }
    return "";
  }

  [[nodiscard]] bool is_job(const Member& member) const {
    // Its name alone may be in the agent's own environment: only what the agent started counts then.
    if (member.job.job.empty()) return !member.job.agent.empty() && members_.contains(member.parent);
    const auto* oldest = &member;
    for (auto parent = members_.find(oldest->parent);
         parent != members_.end() && parent->second.job.job == member.job.job; parent = members_.find(oldest->parent)) {
      oldest = &parent->second;
    }
    return oldest->parent != kInit || std::string_view(oldest->program).starts_with(kAgentProgram);
  }

  void note(const JobProcess& job) {
    const auto [at, is_new] = jobs_.emplace(std::tuple(job.job, job.agent, job.checkout), job);
    if (!is_new && job.since < at->second.since) at->second = job;
  }

  const AgentOnHost& agent_;
  Now now_;
  std::string proc_;
  std::map<pid_t, Member> members_;
  std::map<std::tuple<std::string, std::string, std::string>, JobProcess> jobs_;
};

}  // namespace

Result<std::vector<JobProcess>> agent_processes(const AgentOnHost& agent, Now now, const std::string& proc) {
  return Scan(agent, now, proc).run();
}

}  // namespace buildwarden::jobs
