#include "daemon/engine/credential_helper.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <functional>
#include <utility>

#include "common/format.h"
#include "common/own_unit.h"
#include "daemon/engine/encode.h"
#include "daemon/engine/json.h"

namespace buildwarden::engine {
namespace json = boost::json;

namespace {

constexpr int kHelperSeconds = 20;
constexpr Duration kHelperPatience = std::chrono::seconds{kHelperSeconds + 3};
constexpr Bytes kMostAnswer = 64 * kKiB;
constexpr std::size_t kLongestWords = 200;
constexpr int kTimedOut = 124;  // of timeout(1)
constexpr int kMissing = 127;   // of env(1)
// The helper's word for "no login of that server" (credentials.NewErrCredentialsNotFound()).
constexpr std::string_view kUnknownServer = "credentials not found in native keychain";
// The user's name by which a helper says that its secret is an identity token.
constexpr std::string_view kTokenUser = "<token>";

// A failed helper writes its reason to stdout, where a login would stand otherwise.
std::string words_of(const ProgramEnd& end) {
  auto words = end.output.empty() ? end.errors : end.output;
  words = words.substr(0, std::min(words.find('\n'), kLongestWords));
  return words.empty() ? format("it ended with {}", end.exit_code) : words;
}

}  // namespace

std::vector<std::string> helper_command(const HelperQuestion& question) {
  std::vector<std::string> command = {"timeout", "--kill-after=1", std::to_string(kHelperSeconds), "env"};
  // A unit of its own has none; helpers keep what they know below it.
  if (is_service()) command.emplace_back("HOME=/root");
  command.push_back("docker-credential-" + question.helper);
  command.emplace_back("get");
  return in_own_unit(std::move(command));
}

Result<std::string> read_helper(const HelperQuestion& question, const Result<ProgramEnd>& end) {
  const auto program = "docker-credential-" + question.helper;
  if (!end) return Error(end.error()).with_context(program);
  if (end->exit_code == kMissing) return Error(Errc::kUnavailable, format("{} is not installed", program));
  if (end->exit_code == kTimedOut || end->exit_code < 0) {
    return Error(Errc::kUnavailable, format("{} did not end within {} s", program, kHelperSeconds));
  }
  if (end->exit_code != 0 && end->output.find(kUnknownServer) != std::string::npos) return std::string();
  if (end->exit_code != 0) return Error(Errc::kUnavailable, format("{}: {}", program, words_of(*end)));
  auto root = parse_json(end->output);
  if (!root) return Error(Errc::kProtocol, format("the answer of {} is not JSON", program));
  FieldReader fields(*root, "the answer of " + program);
  const auto user = fields.text("Username");
  const auto secret = fields.text("Secret");
  if (auto read = fields.result(); !read) return std::move(read).error();
  json::object auth;
  auth["serveraddress"] = question.server;
  if (user == kTokenUser) {
    auth["identitytoken"] = secret;
  } else {
    auth["username"] = user;
    auth["password"] = secret;
  }
  return encode_base64(json::serialize(auth), true);
}

boost::asio::awaitable<Result<std::string>> CredentialHelpers::ask(HelperQuestion question) {
  if (!thread_) thread_ = std::make_unique<WorkerPool>(1);
  std::function<Result<std::string>()> work = [question = std::move(question),
                                               stop = stop_.get_token()]() -> Result<std::string> {
    ProgramCall call;
    call.command = helper_command(question);
    call.input = question.server;
    call.deadline = kHelperPatience;
    call.most = kMostAnswer;
    return read_helper(question, run_program(std::move(call), stop));
  };
  constexpr int kMostWaiting = 3;  // others may have asked before
  co_return co_await thread_->compute<std::string>(std::move(work), kMostWaiting * kHelperPatience);
}

}  // namespace buildwarden::engine
