#include "daemon/instance/machine.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "common/format.h"
#include "common/own_unit.h"
#include "common/resolved_folder.h"
#include "common/subprocess.h"
#include "common/unique_fd.h"
#include "daemon/instance/agent.h"

namespace buildwarden::instance {
namespace {

using policy::TerminationAction;
using policy::TerminationNews;
using policy::TerminationOutcome;

constexpr Duration kCommandPatience = std::chrono::seconds{15};  // for what answers in milliseconds

Result<ProgramEnd> run(std::vector<std::string> command, Duration deadline, const std::stop_token& stop) {
  return run_program(in_own_unit(std::move(command)), deadline, stop);
}

Result<Identity> identify(const std::string& imds_url, const std::stop_token& stop) {
  auto end = run({own_program(), std::string(kMetadataCommand), imds_url}, kCommandPatience, stop);
  if (!end) return std::move(end).error();
  if (end->exit_code != 0) return Error(Errc::kUnavailable, format("{} answers not: {}", imds_url, end->errors));
  return read_identity(end->output);
}

TerminationNews call(const AwsCli& cli, TerminationAction action, bool decrement, const std::stop_token& stop) {
  const bool describes = action == TerminationAction::kDescribe;
  auto command = describes                                 ? cli.describe()
                 : action == TerminationAction::kTerminate ? cli.terminate(decrement)
                                                           : cli.set_unhealthy();
  const auto end = run(std::move(command), cli.call, stop);
  auto news = news_of(end);
  news.action = action;
  if (!describes || news.outcome != TerminationOutcome::kDone) return news;
  const auto described = read_description(end->output);
  if (!described) {
    news.outcome = TerminationOutcome::kRefused;
    news.text = described.error().message();
    return news;
  }
  news.group = described->state;
  news.group_word = described->word;
  return news;
}

policy::AgentFacts look_at_agent(const std::string& unit, const std::stop_token& stop) {
  return agent_of(run(show_command(unit), kCommandPatience, stop));
}

TerminationNews tell_agent(const std::string& unit, TerminationAction action, const std::stop_token& stop) {
  auto command = action == TerminationAction::kStartAgent
                     ? start_command(unit)
                     : signal_command(unit, action == TerminationAction::kTermAgent ? "SIGTERM" : "SIGQUIT");
  const auto end = run(std::move(command), kCommandPatience, stop);
  TerminationNews news;
  news.action = action;
  if (!end) {
    const auto code = end.error().code();
    const bool absent = code == Errc::kNotFound || code == Errc::kDenied;
    news.outcome = absent ? TerminationOutcome::kMissing : TerminationOutcome::kUnreachable;
    news.text = end.error().message();
  } else if (end->exit_code != 0) {
    news.outcome = TerminationOutcome::kRefused;
    news.text = format("systemctl: {}{}", end->output, end->errors);
  }
  return news;
}

Result<void> write_line(const std::string& path, const std::string& line) {
  const auto slash = path.rfind('/');
  const auto folder = resolve_folder(path.substr(0, std::max<std::size_t>(slash, 1)));
  if (!folder) return Error(folder.error()).with_context(path);
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW;
  const auto name = path.substr(slash + 1);
  const UniqueFd file(::openat(folder->folder.get(), name.c_str(), kFlags, 0644));
  struct stat what{};
  if (!file.open() || ::fstat(file.get(), &what) != 0) return Error::from_errno(errno, path);
  if (!S_ISREG(what.st_mode) || what.st_nlink != 1) return Error(Errc::kInvalid, path + " is not a file of one name");
  const auto text = line + "\n";
  if (::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) return {};
  return Error::from_errno(errno, path);
}

}  // namespace

Machine this_machine() { return {identify, call, look_at_agent, tell_agent, write_line}; }

}  // namespace buildwarden::instance
