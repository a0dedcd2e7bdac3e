// The lines of the Elastic CI Stack's bk-check-disk-space.sh, which people and tools look for in job logs.
#pragma once

#include <cstdint>
#include <string>

#include "daemon/cli/disk_findings.h"

namespace buildwarden::cli {

struct StackLines {
  std::string out;  // for stdout
  std::string err;  // for stderr
};

// `purged`: purging checkouts was allowed and tried.
StackLines stack_lines(const DiskFinding& finding, bool purged);

// As `df -h` shows sizes: in powers of 1024, rounded up, one decimal below ten: "4.9G", "93G", "512".
std::string df_size(std::int64_t value);
// As `numfmt --to=iec-i --suffix=B`: "4.9GiB".
std::string numfmt_size(Bytes value);

}  // namespace buildwarden::cli
