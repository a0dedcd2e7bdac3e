// Who is connected to buildkitd right now: each running build holds a connection, whichever way it was dialled.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/result.h"

namespace buildwarden::builders {

// The connections that process `pid` has accepted on its unix socket, which it calls `socket_path`, but for `own` that
// the asker holds itself. An accepted socket is of its client's network namespace, so those of clients elsewhere (the
// host, a front) are the ones that none of the process's own tables lists. Well under a millisecond for an idle
// builder. Any error: unknown (denied without CAP_SYS_PTRACE).
Result<int> other_connections(pid_t pid, std::string_view socket_path, std::size_t own);

}  // namespace buildwarden::builders
