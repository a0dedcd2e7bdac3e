// Places that look like a disk and are memory, or that do not outlast a job: local caches do not persist there.
#include <sys/statfs.h>

#include <optional>

#include "common/format.h"
#include "common/units.h"
#include "daemon/cli/doctor.h"

namespace buildwarden::cli {
namespace {

constexpr long kTmpfs = 0x01021994;  // linux/magic.h
constexpr Bytes kMuch = kGiB;

struct Memory {
  Bytes used = 0;
  Bytes most = 0;
};

// What a filesystem in memory holds; nothing for one on a disk, or for what is not there.
std::optional<Memory> in_memory(const std::string& path) {
  struct statfs info{};
  if (::statfs(path.c_str(), &info) != 0 || info.f_type != kTmpfs) return std::nullopt;
  const auto block = static_cast<Bytes>(info.f_bsize);
  return Memory{static_cast<Bytes>(info.f_blocks - info.f_bfree) * block, static_cast<Bytes>(info.f_blocks) * block};
}

Finding of_temp(const std::string& path) {
  const auto memory = in_memory(path);
  if (!memory) return fine(format("{} is on a disk", path));
  const auto line = format("{} is in memory: {} of at most {} are used", path, format_bytes(memory->used),
                           format_bytes(memory->most));
  if (memory->used < kMuch) return fine(format("{}; a local cache there goes with the instance", line));
  return warning(line, "MountTmpfsAtTmp=false, or local caches (type=local,dest=) in a folder of disk.cache_dirs");
}

}  // namespace

Findings check_temporary(const Scene& scene) {
  Findings findings{of_temp(scene.temp)};
  for (const auto& folder : scene.settings.disk.cache_dirs) {
    if (!in_memory(folder)) continue;
    findings.push_back(error(format("{}, which disk.cache_dirs names, is in memory: it does not persist", folder),
                             "put it on a disk, such as /var/cache or the instance storage"));
  }
  if (in_memory(scene.settings.paths.builds)) {
    findings.push_back(warning(format("checkouts below {} are in memory", scene.settings.paths.builds),
                               "mount a disk there; the stack does with EnableInstanceStorage"));
  }
  return findings;
}

}  // namespace buildwarden::cli
