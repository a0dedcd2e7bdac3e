// One question to the daemon and its answer, and what each kind of failure means for the exit code.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "common/http_client.h"
#include "common/result.h"
#include "daemon/cli/context.h"

namespace buildwarden::cli {

struct Answer {
  int status = 0;
  std::string location;     // of a 202: where its operation is
  std::string body;         // as it came
  boost::json::value json;  // null when the body is not JSON
  [[nodiscard]] bool good() const { return status >= 200 && status < 300; }
};

// Blocks until the answer is there or `deadline` is over; for a client that has nothing else to do.
class Client {
 public:
  Client(const Context& context, Duration deadline);

  // Any status is an answer. kDenied: the socket may not be opened; else the errors of HttpClient::send.
  [[nodiscard]] Result<Answer> get(std::string target) const;
  [[nodiscard]] Result<Answer> post(std::string target, const boost::json::value& body) const;
  [[nodiscard]] Result<Answer> remove(std::string target) const;

  // Calls `line` for each line of an answer that does not end, until it ends: the error says how.
  [[nodiscard]] Error follow(std::string target, std::function<void(std::string_view)> line) const;

  // The same with `extra` added to the deadline: for a question that asks the daemon to wait.
  [[nodiscard]] Client with_patience(Duration extra) const;

 private:
  [[nodiscard]] Result<Answer> exchange(HttpRequest request) const;
  [[nodiscard]] Error explain(Error error) const;

  HttpClient http_;
  HttpLimits limits_;
};

// `text` as one segment of a path: everything but letters, digits, '-', '.', '_' and '~' as %XX.
std::string path_segment(std::string_view text);

// Says why nobody answered; kDenied or kUnreachable.
ExitCode report_failure(const Context& context, const Error& error);

// Says what the problem document says (prints the document itself for --json); kDenied for 401 and 403, else kNo.
ExitCode report_problem(const Context& context, const Answer& answer);

// The reason in a problem document or a refusal, in one sentence.
std::string problem_text(const Answer& answer);

}  // namespace buildwarden::cli
