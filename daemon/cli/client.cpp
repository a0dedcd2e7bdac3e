#include "daemon/cli/client.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <cerrno>
#include <optional>

#include "common/format.h"
#include "daemon/cli/answer.h"

namespace buildwarden::cli {
namespace asio = boost::asio;
namespace json = boost::json;

namespace {

using Line = std::function<void(std::string_view)>;

// Idle is no failure of a stream of events: on a quiet machine nothing happens for days.
constexpr Duration kStreamIdle = std::chrono::hours{24 * 365};

asio::awaitable<void> ask(const HttpClient* http, HttpRequest request, HttpLimits limits,
                          std::optional<Result<HttpResponse>>* slot) {
  auto response = co_await http->send(std::move(request), limits);
  slot->emplace(std::move(response));
}

asio::awaitable<void> read_lines(const HttpClient* http, HttpRequest request, HttpLimits limits, Line line,
                                 std::optional<Error>* end) {
  auto stream = co_await http->open(std::move(request), limits);
  if (!stream) {
    end->emplace(std::move(stream).error());
    co_return;
  }
  const int status = (*stream)->head().status;
  if (status != 200) {
    end->emplace(status == 403 ? Errc::kDenied : Errc::kProtocol, format("the daemon answered {}", status));
    co_return;
  }
  for (;;) {
    auto next = co_await (*stream)->next_line(kStreamIdle);
    if (!next) {
      end->emplace(std::move(next).error());
      co_return;
    }
    line(*next);
  }
}

Answer to_answer(HttpResponse response) {
  Answer answer;
  answer.status = response.status;
  answer.location = response.header("Location");
  answer.body = std::move(response.body);
  boost::system::error_code not_json;
  answer.json = json::parse(answer.body, not_json);
  if (not_json) answer.json = nullptr;
  return answer;
}

}  // namespace

Client::Client(const Context& context, Duration deadline) : http_(context.socket) { limits_.deadline = deadline; }

Client Client::with_patience(Duration extra) const {
  Client other = *this;
  other.limits_.deadline += extra;
  return other;
}

Result<Answer> Client::get(std::string target) const {
  HttpRequest request;
  request.target = std::move(target);
  return exchange(std::move(request));
}

Result<Answer> Client::post(std::string target, const json::value& body) const {
  HttpRequest request;
  request.method = "POST";
  request.target = std::move(target);
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = json::serialize(body);
  return exchange(std::move(request));
}

Result<Answer> Client::remove(std::string target) const {
  HttpRequest request;
  request.method = "DELETE";
  request.target = std::move(target);
  return exchange(std::move(request));
}

Result<Answer> Client::exchange(HttpRequest request) const {
  std::optional<Result<HttpResponse>> slot;
  asio::io_context loop(1);
  asio::co_spawn(loop, ask(&http_, std::move(request), limits_, &slot), asio::detached);
  loop.run();
  if (!slot) return Error(Errc::kIo, "the exchange broke off");
  if (!*slot) return explain(std::move(*slot).error());
  return to_answer(std::move(**slot));
}

Error Client::follow(std::string target, Line line) const {
  HttpRequest request;
  request.target = std::move(target);
  request.headers.emplace_back("Accept", "text/event-stream");
  std::optional<Error> end;
  asio::io_context loop(1);
  asio::co_spawn(loop, read_lines(&http_, std::move(request), limits_, std::move(line), &end), asio::detached);
  loop.run();
  return explain(end ? std::move(*end) : Error(Errc::kIo, "the stream broke off"));
}

// A socket that we may not write to is not an absent daemon, and its errno does not come through HTTP's errors.
Error Client::explain(Error error) const {
  const bool may = ::faccessat(AT_FDCWD, http_.socket_path().c_str(), W_OK, AT_EACCESS) == 0 || errno != EACCES;
  if (may || error.code() == Errc::kTimeout) return error;
  return {Errc::kDenied, format("{} may not be opened by this user", http_.socket_path())};
}

std::string path_segment(std::string_view text) {
  std::string segment;
  for (const char letter : text) {
    const auto c = static_cast<unsigned char>(letter);
    const bool plain = (c < 0x80 && std::isalnum(c) != 0) || c == '-' || c == '.' || c == '_' || c == '~';
    segment += plain ? std::string(1, letter) : format("%{:02X}", c);
  }
  return segment;
}

ExitCode report_failure(const Context& context, const Error& error) {
  const bool denied = error.code() == Errc::kDenied;
  complain(context, denied ? error.message() : format("no answer on {}: {}", context.socket, error.message()));
  return denied ? kDenied : kUnreachable;
}

std::string problem_text(const Answer& answer) {
  for (const auto* key : {"detail", "reason", "title"}) {
    auto found = text(answer.json, key);
    if (!found.empty()) return found;
  }
  return format("the daemon answered {}", answer.status);
}

ExitCode report_problem(const Context& context, const Answer& answer) {
  if (context.json && !answer.json.is_null()) print_json(context, answer.body);
  complain(context, problem_text(answer));
  return answer.status == 401 || answer.status == 403 ? kDenied : kNo;
}

}  // namespace buildwarden::cli
