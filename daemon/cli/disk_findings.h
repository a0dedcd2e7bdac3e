// How full the filesystems that admit jobs are: by the daemon's word, or measured here with the same marks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"
#include "config/settings.h"
#include "daemon/cli/context.h"

namespace buildwarden::cli {

// One filesystem's part of the verdict.
struct DiskFinding {
  std::string mount;
  bool low = false;  // below the critical mark of bytes or of inodes
  Bytes free = 0;
  Bytes wanted = 0;
  std::int64_t free_inodes = 0;
  std::int64_t wanted_inodes = 0;  // 0: there is no limit
  std::string reason;              // one sentence with the numbers
  [[nodiscard]] bool lacks_bytes() const { return free < wanted; }
  [[nodiscard]] bool lacks_inodes() const { return free_inodes < wanted_inodes; }
};

// Each filesystem that gates jobs, never none. kDenied: the socket is not for this user; another error: there is no
// daemon, or it does not know one of them, so that they are to be measured here.
Result<std::vector<DiskFinding>> ask_daemon(const Context& context);

// The engine's data root alone. An error where it cannot be measured.
Result<std::vector<DiskFinding>> measure_here(const Settings& settings);

// The one that decides: the first that is low, else that with the least room above what is wanted.
const DiskFinding& deciding(const std::vector<DiskFinding>& findings);

}  // namespace buildwarden::cli
