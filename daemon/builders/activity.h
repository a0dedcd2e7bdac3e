// Whether a container does anything, by what the kernel tells of its processes.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "common/result.h"

namespace buildwarden::builders {

// Two that are equal, the later one not waiting: nothing of it ran between them.
struct Activity {
  std::uint64_t cpu_nanoseconds = 0;  // of its threads that exist
  std::size_t threads = 0;
  bool waits_for_disk = false;  // one of them does, at this moment
  friend bool operator==(const Activity&, const Activity&) = default;
};

// Of process `pid` and all that descend from it; what `docker exec` runs beside it does not. Any error: unknown, also
// for more than a thousand threads.
Result<Activity> activity_of(pid_t pid);

// Whether the folder `inside` of the process' root is another one than the host's `folder`: that was removed or made
// anew since it was mounted. kNotFound, kDenied: the process' view is not known.
Result<bool> sees_other_folder(pid_t pid, const std::string& inside, const std::string& folder);

}  // namespace buildwarden::builders
