// What a job's request may say. Pure.
#pragma once

#include "common/result.h"
#include "daemon/ports/jobs.h"

namespace buildwarden::jobs {

// kInvalid with the field's name in front: "pid: …". Whether the pid exists and whose it is, and whether builders are
// configured, is asked elsewhere. `most_ttl`: jobs.ttl.
Result<void> check_fields(const ports::JobRequest& request, Duration most_ttl);

// "id: …" alone, for routes that carry nothing else.
Result<void> check_id(std::string_view id);

}  // namespace buildwarden::jobs
