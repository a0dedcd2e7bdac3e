// Following a long operation that the daemon answered with 202.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <optional>
#include <string>

#include "daemon/cli/client.h"
#include "daemon/cli/progress.h"

namespace buildwarden::cli {

// Asks until the operation has ended and gives its result as if it were the answer to the first question. `accepted`
// that is no 202 comes back as it is. Each new line of progress is shown once. After `at_most` (nothing: for as long as
// the daemon answers) kTimeout; kUnavailable also when the daemon lost the operation by a restart.
Result<Answer> follow_operation(const Client& client, Answer accepted, Progress& progress,
                                std::optional<Duration> at_most);

// Asks for a long operation and follows it to its end, with its progress on a terminal. What went wrong is an error, or
// an answer that is not good.
Result<Answer> run_operation(const Context& context, const std::string& target, const boost::json::object& body,
                             std::optional<Duration> at_most = std::nullopt);

// The same, reported: the result's JSON, or what `human` makes of it. The program's exit code.
int show_operation(const Context& context, const std::string& target, const boost::json::object& body,
                   const std::function<std::string(const boost::json::value&)>& human);

}  // namespace buildwarden::cli
