#include "daemon/instance/agent.h"

#include <charconv>
#include <sstream>

#include "common/atomic_file.h"
#include "common/format.h"

namespace buildwarden::instance {
namespace {

constexpr int kFieldStart = 22;     // of /proc/<pid>/stat, counted from 1
constexpr int kFieldAfterName = 3;  // the second, the program's name, may hold blanks and parentheses

// Clock ticks since boot: with it a pid names one process for ever. kNotFound: it has ended.
Result<std::uint64_t> start_of(std::int64_t pid, const std::string& proc) {
  auto stat = read_file(format("{}/{}/stat", proc, pid), 64 * kKiB);
  if (!stat) return std::move(stat).error();
  const auto name_end = stat->rfind(')');
  std::istringstream rest(name_end == std::string::npos ? std::string() : stat->substr(name_end + 1));
  std::string state;
  rest >> state;
  if (state == "Z" || state == "X") return Error(Errc::kNotFound, format("process {} has ended", pid));
  std::string word;
  for (int field = kFieldAfterName + 1; field < kFieldStart; ++field) rest >> word;
  std::uint64_t start = 0;
  if (rest >> start) return start;
  return Error(Errc::kProtocol, format("{}/{}/stat cannot be understood", proc, pid));
}

policy::AgentFacts unknown(std::string trouble) {
  policy::AgentFacts facts;
  facts.trouble = std::move(trouble);
  return facts;
}

}  // namespace

std::vector<std::string> show_command(const std::string& unit) {
  return {"systemctl", "show", "--property=MainPID", unit};
}

std::vector<std::string> signal_command(const std::string& unit, const std::string& signal) {
  return {"systemctl", "kill", "--kill-who=main", "--signal=" + signal, unit};
}

// It may take as long as the unit's start; nobody waits for that.
std::vector<std::string> start_command(const std::string& unit) { return {"systemctl", "start", "--no-block", unit}; }

policy::AgentFacts agent_of(const Result<ProgramEnd>& end, const std::string& proc) {
  if (!end) return unknown(end.error().message());
  if (end->exit_code != 0) return unknown(format("systemctl: {}{}", end->output, end->errors));
  constexpr std::string_view kBefore = "MainPID=";
  const auto at = end->output.find(kBefore);
  const auto begin = at == std::string::npos ? end->output.size() : at + kBefore.size();
  policy::AgentFacts facts;
  const auto* from = end->output.data() + begin;
  const auto* until = end->output.data() + end->output.size();
  if (std::from_chars(from, until, facts.pid).ec != std::errc{} || facts.pid < 0) {
    return unknown(format("systemctl names no main process: {}", end->output));
  }
  facts.known = true;
  if (facts.pid == 0) return facts;
  const auto start = start_of(facts.pid, proc);
  if (start) {
    facts.pid_started = *start;
  } else if (start.error().code() == Errc::kNotFound) {
    facts.pid = 0;  // it ended just now
  } else {
    return unknown(start.error().message());
  }
  return facts;
}

}  // namespace buildwarden::instance
