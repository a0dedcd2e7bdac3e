// Brings the build cache of a builder that nobody will use any more down to a size, what is worth least first.
#pragma once

#include <string>

#include "common/clock.h"
#include "common/worker.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/filesystems.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/worth.h"

namespace buildwarden::disk {

// All outlive the coroutine.
struct CacheTrim {
  ports::BuildCache& cache;
  std::string builder;  // as in policy::Thing
  const ports::LearnedWorth& worth;
  bool reuse_context = false;  // jobs.reuse_context
  WorkerPool& workers;
  const Clock& clock;
  ports::FilesystemProbe& probe;
  ports::Journal& journal;
};

struct CacheTrimmed {
  std::size_t records = 0;  // that went
  Bytes bytes = 0;          // that they had
  Bytes left = 0;           // that stays, by the records' sizes
};

// In the order of policy::order_by_value(), until at most `most` is left; what is in use or shared stays. No age holds
// anything back. What went is an event, also where the rest failed: seed.trimmed, with what statvfs(3) shows.
// kTooLarge: more than `most` is left all the same; the errors of the cache.
ports::Async<CacheTrimmed> trim_cache(CacheTrim trim, Bytes most);

}  // namespace buildwarden::disk
