#include "daemon/instance/aws.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <exception>
#include <utility>

#include "common/format.h"

namespace buildwarden::instance {
namespace json = boost::json;

namespace {

using policy::TerminationOutcome;

constexpr int kTimedOut = 124;      // of timeout(1)
constexpr int kKilled = 137;        // the same, when it had to
constexpr int kCannotRun = 126;     // of timeout(1) and env(1)
constexpr int kNotFound = 127;      // the same
constexpr int kNotFoundUnit = 203;  // of systemd-run
constexpr std::size_t kLongestText = 400;
constexpr const char* kUsualMetadata = "http://169.254.169.254";

struct Code {
  std::string_view word;
  TerminationOutcome outcome;
};

// The codes in the CLI's "An error occurred (CODE) when calling …".
constexpr std::array kCodes = {
    Code{"Throttling", TerminationOutcome::kThrottled},
    Code{"ThrottlingException", TerminationOutcome::kThrottled},
    Code{"RequestLimitExceeded", TerminationOutcome::kThrottled},
    Code{"TooManyRequestsException", TerminationOutcome::kThrottled},
    Code{"ScalingActivityInProgress", TerminationOutcome::kThrottled},
    Code{"ResourceContention", TerminationOutcome::kThrottled},
    Code{"InternalFailure", TerminationOutcome::kUnreachable},
    Code{"InternalError", TerminationOutcome::kUnreachable},
    Code{"ServiceUnavailable", TerminationOutcome::kUnreachable},
    Code{"RequestTimeout", TerminationOutcome::kUnreachable},
    Code{"ExpiredToken", TerminationOutcome::kCredentials},
    Code{"ExpiredTokenException", TerminationOutcome::kCredentials},
    Code{"RequestExpired", TerminationOutcome::kCredentials},
    Code{"InvalidClientTokenId", TerminationOutcome::kCredentials},
    Code{"UnrecognizedClientException", TerminationOutcome::kCredentials},
    Code{"SignatureDoesNotMatch", TerminationOutcome::kCredentials},
    Code{"AuthFailure", TerminationOutcome::kCredentials},
    Code{"AccessDenied", TerminationOutcome::kDenied},
    Code{"AccessDeniedException", TerminationOutcome::kDenied},
    Code{"UnauthorizedOperation", TerminationOutcome::kDenied},
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  const auto first = text.find_first_not_of(' ');
  const auto last = text.find_last_not_of(' ');
  if (first == std::string::npos) return "";
  return text.substr(first, std::min(last - first + 1, kLongestText));
}

std::string code_in(const std::string& errors) {
  constexpr std::string_view kBefore = "An error occurred (";
  const auto at = errors.find(kBefore);
  if (at == std::string::npos) return "";
  const auto begin = at + kBefore.size();
  return errors.substr(begin, errors.find(')', begin) - begin);
}

TerminationOutcome validation_error(const std::string& errors) {
  if (has(errors, "min size") || has(errors, "minSize")) return TerminationOutcome::kMinimumSize;
  if (has(errors, "nstance Id not found") || has(errors, "No managed instance")) return TerminationOutcome::kNotThere;
  return TerminationOutcome::kRefused;
}

TerminationOutcome outcome_of(const std::string& errors) {
  const auto code = code_in(errors);
  if (code == "ValidationError") return validation_error(errors);
  const auto known = std::find_if(kCodes.begin(), kCodes.end(), [&](const Code& one) { return one.word == code; });
  if (known != kCodes.end()) return known->outcome;
  // An answer without a body that the CLI understands is told by its status: "An error occurred (503) when calling".
  if (code.size() == 3 && code.front() == '5') return TerminationOutcome::kUnreachable;
  if (code == "429") return TerminationOutcome::kThrottled;
  if (!code.empty()) return TerminationOutcome::kRefused;
  if (has(errors, "redentials")) return TerminationOutcome::kCredentials;
  for (const auto* const part : {"Could not connect", "onnect timeout", "ead timeout", "onnection was closed",
                                 "onnection reset", "onnection aborted", "nvalid response"}) {
    if (has(errors, part)) return TerminationOutcome::kUnreachable;
  }
  return TerminationOutcome::kRefused;
}

json::value parsed(const std::string& text) {
  boost::system::error_code failed;
  auto value = json::parse(text, failed);
  return failed ? json::value() : value;
}

}  // namespace

std::vector<std::string> AwsCli::command(std::vector<std::string> words) const {
  const auto seconds = std::max<Duration::rep>(1, std::chrono::floor<std::chrono::seconds>(call).count() - 2);
  std::vector<std::string> whole = {"timeout",
                                    "--kill-after=1",
                                    format("{}", seconds),
                                    "env",
                                    "AWS_RETRY_MODE=standard",
                                    "AWS_MAX_ATTEMPTS=1",
                                    "AWS_PAGER=",
                                    "AWS_METADATA_SERVICE_NUM_ATTEMPTS=2"};
  if (settings.imds_url != kUsualMetadata) {
    whole.push_back("AWS_EC2_METADATA_SERVICE_ENDPOINT=" + settings.imds_url +
                    (settings.imds_url.ends_with('/') ? "" : "/"));
  }
  whole.insert(whole.end(), {settings.aws_cli, "autoscaling"});
  for (auto& word : words) whole.push_back(std::move(word));
  whole.insert(whole.end(),
               {"--output=json", "--region=" + (settings.region.empty() ? identity.region : settings.region),
                "--cli-connect-timeout=5", "--cli-read-timeout=20"});
  if (!settings.endpoint_url.empty()) whole.push_back("--endpoint-url=" + settings.endpoint_url);
  return whole;
}

std::vector<std::string> AwsCli::describe() const {
  return command({"describe-auto-scaling-instances", "--instance-ids=" + identity.id});
}

std::vector<std::string> AwsCli::terminate(bool decrement) const {
  return command({"terminate-instance-in-auto-scaling-group", "--instance-id=" + identity.id,
                  decrement ? "--should-decrement-desired-capacity" : "--no-should-decrement-desired-capacity"});
}

std::vector<std::string> AwsCli::set_unhealthy() const {
  return command({"set-instance-health", "--instance-id=" + identity.id, "--health-status=Unhealthy",
                  "--no-should-respect-grace-period"});
}

policy::TerminationNews news_of(const Result<ProgramEnd>& end) {
  policy::TerminationNews news;
  if (!end) {
    const auto code = end.error().code();
    const bool absent = code == Errc::kNotFound || code == Errc::kDenied;
    news.outcome = absent ? TerminationOutcome::kMissing : TerminationOutcome::kUnreachable;
    news.text = end.error().message();
    return news;
  }
  if (end->exit_code == 0) return news;
  news.text = one_line(end->errors.empty() ? end->output : end->errors);
  if (end->exit_code == kNotFound || end->exit_code == kCannotRun || end->exit_code == kNotFoundUnit) {
    news.outcome = TerminationOutcome::kMissing;
  } else if (end->exit_code == kTimedOut || end->exit_code == kKilled || end->exit_code < 0) {
    news.outcome = TerminationOutcome::kUnreachable;
    news.text = format("the AWS CLI did not end in time{}{}", news.text.empty() ? "" : ": ", news.text);
  } else {
    news.outcome = outcome_of(end->errors);
  }
  if (news.text.empty()) news.text = format("the AWS CLI ended with {}", end->exit_code);
  return news;
}

Result<Described> read_description(const std::string& text) {
  const auto answer = parsed(text);
  const auto* object = answer.if_object();
  const auto* list = object == nullptr ? nullptr : object->if_contains("AutoScalingInstances");
  if (list == nullptr || !list->is_array()) {
    return Error(Errc::kProtocol, format("no description of instances: {}", one_line(text)));
  }
  if (list->get_array().empty()) return Described{policy::GroupState::kAbsent, "in no Auto Scaling group"};
  const auto* first = list->get_array().front().if_object();
  const auto* state = first == nullptr ? nullptr : first->if_contains("LifecycleState");
  if (state == nullptr || !state->is_string()) {
    return Error(Errc::kProtocol, format("a description without a state: {}", one_line(text)));
  }
  Described described;
  described.word = std::string(state->get_string());
  if (described.word == "InService") described.state = policy::GroupState::kInService;
  if (described.word.starts_with("Terminat")) described.state = policy::GroupState::kLeaving;
  return described;
}

}  // namespace buildwarden::instance
