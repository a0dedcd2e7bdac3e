// A job's admission as a POSIX shell script for `eval`, for hooks that have no JSON tool.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"
#include "daemon/ports/jobs.h"

namespace buildwarden::api {

inline constexpr std::string_view kShellScript = "text/x-shellscript";

// Writes the files below ${BUILDX_CONFIG:-$DOCKER_CONFIG/buildx} and exports the variables; its status is 0 even when
// the files cannot be written, since a job must go on as before: it warns on stderr, and BUILDX_BUILDER, which would
// name an instance that is not there, is not exported. A refusal prints its reason on stderr and has the status 1.
// Works in dash and bash under `set -eu`; nothing in the values is ever expanded or executed.
std::string job_script(const ports::JobAnswer& answer);

// A problem in place of an answer: `detail` on stderr. `status` is the script's.
std::string problem_script(std::string_view detail, int status);

}  // namespace buildwarden::api
