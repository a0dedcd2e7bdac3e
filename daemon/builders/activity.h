// Whether a process does anything, by what the kernel tells of it.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "common/result.h"

namespace buildwarden::builders {

struct Activity {
  pid_t process = 0;                  // the first of those that were looked at
  std::uint64_t cpu_nanoseconds = 0;  // of the threads that exist
  std::size_t threads = 0;
  bool stopped = false;         // all of them are, by a signal or a tracer
  bool waits_for_disk = false;  // one of them does, at this moment
  friend bool operator==(const Activity&, const Activity&) = default;
};

// kDescendants: also of all that descend from it; what `docker exec` runs beside it does not.
enum class Reach : std::uint8_t { kProcess, kDescendants };

// Of process `pid`. Any error: unknown, also for more than a thousand threads.
Result<Activity> activity_of(pid_t pid, Reach reach);

// Whether process `pid` is stopped, by a signal or a tracer; false where that is not known.
bool is_stopped(pid_t pid);

// Whether the folder `inside` of the process' root is another one than the host's `folder`: that was removed or made
// anew since it was mounted. kNotFound, kDenied: the process' view is not known.
Result<bool> sees_other_folder(pid_t pid, const std::string& inside, const std::string& folder);

}  // namespace buildwarden::builders
