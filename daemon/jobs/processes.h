// What the kernel says about the processes that leases hang on.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "common/result.h"

namespace buildwarden::jobs {

struct ProcessFacts {
  uid_t uid = 0;              // the real one
  std::uint64_t started = 0;  // clock ticks since boot: tells it from a later process of the same number
};

class Processes {
 public:
  // `proc`: where procfs is mounted.
  explicit Processes(std::string proc = "/proc") : proc_(std::move(proc)) {}

  // kNotFound: there is none, or it has ended and only waits to be reaped. Other errors: unknown.
  [[nodiscard]] Result<ProcessFacts> look(pid_t pid) const;

 private:
  std::string proc_;
};

// A descriptor that becomes readable when the process ends; the caller closes it. kNotFound: there is no such process;
// other errors: this kernel or sandbox has no pidfd.
Result<int> open_pidfd(pid_t pid);

}  // namespace buildwarden::jobs
