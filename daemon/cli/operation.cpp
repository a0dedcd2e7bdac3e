#include "daemon/cli/operation.h"

#include <boost/json/serialize.hpp>
#include <chrono>

#include "common/format.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/show.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

// How long one question waits in the daemon: lines of progress come at least this often.
constexpr Duration kWait = std::chrono::seconds{1};

std::string operation_path(const Answer& accepted) {
  const auto id = text(accepted.json, "operation");
  if (!id.empty()) return "/v1/operations/" + path_segment(id);
  return accepted.location.starts_with("/v1/operations/") ? accepted.location : "";
}

// Shows the lines that are new; gives how many there are now.
std::size_t show_new(const json::array& lines, std::size_t shown, Progress& progress) {
  for (std::size_t i = shown; i < lines.size(); ++i) {
    if (const auto* line = lines[i].if_string()) progress.line({line->data(), line->size()});
  }
  return std::max(shown, lines.size());
}

// The operation's result in the shape of an answer.
Answer result_of(const json::value& operation) {
  Answer answer;
  answer.status = static_cast<int>(number(operation, "status").value_or(0));
  answer.json = member(operation, "result");
  answer.body = json::serialize(answer.json);
  return answer;
}

}  // namespace

Result<Answer> follow_operation(const Client& client, Answer accepted, Progress& progress,
                                std::optional<Duration> at_most) {
  if (accepted.status != 202) return accepted;
  const auto path = operation_path(accepted);
  if (path.empty()) return Error(Errc::kProtocol, "the daemon accepted, but named no operation");
  const auto patient = client.with_patience(kWait);
  const auto started = std::chrono::steady_clock::now();
  std::size_t shown = 0;
  for (;;) {
    auto answer = patient.get(path + "?wait=1");
    if (!answer) return answer;
    if (answer->status == 404) return Error(Errc::kUnavailable, "the daemon no longer knows the operation");
    if (!answer->good()) return answer;
    shown = show_new(list(answer->json, "progress"), shown, progress);
    const auto state = text(answer->json, "state");
    if (state == "interrupted") return Error(Errc::kUnavailable, "the operation was interrupted by a restart");
    if (state != "running") return result_of(answer->json);
    if (at_most && std::chrono::steady_clock::now() - started >= *at_most) {
      return Error(Errc::kTimeout, format("still running after {}: {}", short_duration(*at_most), path));
    }
  }
}

Result<Answer> run_operation(const Context& context, const std::string& target, const json::object& body,
                             std::optional<Duration> at_most) {
  const Client client(context, context.patience);
  auto answer = client.post(target, body);
  if (!answer) return answer;
  Progress progress(context, Progress::Where::kTerminalLine);
  answer = follow_operation(client, std::move(*answer), progress, at_most);
  progress.clear();
  return answer;
}

int show_operation(const Context& context, const std::string& target, const json::object& body,
                   const std::function<std::string(const json::value&)>& human) {
  return print_answer(context, run_operation(context, target, body), human);
}

}  // namespace buildwarden::cli
