// Following a long operation that the daemon answered with 202.
#pragma once

#include <optional>

#include "daemon/cli/client.h"
#include "daemon/cli/progress.h"

namespace buildwarden::cli {

// Asks until the operation has ended and gives its result as if it were the answer to the first question. `accepted`
// that is no 202 comes back as it is. Each new line of progress is shown once. After `at_most` (nothing: for as long as
// the daemon answers) kTimeout; kUnavailable also when the daemon lost the operation by a restart.
Result<Answer> follow_operation(const Client& client, Answer accepted, Progress& progress,
                                std::optional<Duration> at_most);

}  // namespace buildwarden::cli
