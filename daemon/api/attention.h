// What an operator should see at once although the daemon is ready: jobs that cannot start.
#pragma once

#include <string>
#include <vector>

#include "daemon/ports/disk.h"

namespace buildwarden::api {

struct Attention {
  std::string part;    // "disk /"
  std::string reason;  // one sentence with its numbers
  std::string rule;    // "no_new_jobs"
};

// A filesystem that gates jobs, was measured well and has less than its critical mark: a job that needs nothing would
// not start. The same for status, page, /readyz and their readers.
std::vector<Attention> attention_of(const ports::DiskView& view);

}  // namespace buildwarden::api
