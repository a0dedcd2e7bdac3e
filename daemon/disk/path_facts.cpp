#include "daemon/disk/path_facts.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "common/format.h"

namespace buildwarden::disk {

Result<PathFacts> stat_path(const std::string& path) {
  struct Free {
    void operator()(char* text) const { std::free(text); }  // NOLINT(cppcoreguidelines-no-malloc): realpath's contract
  };
  const std::unique_ptr<char, Free> resolved(::realpath(path.c_str(), nullptr));
  if (!resolved) return Error::from_errno(errno, format("resolve {}", path));
  struct stat info{};
  if (::stat(resolved.get(), &info) != 0) return Error::from_errno(errno, format("stat {}", path));
  struct statvfs space{};
  if (::statvfs(resolved.get(), &space) != 0) return Error::from_errno(errno, format("statvfs {}", path));
  PathFacts facts;
  facts.resolved = resolved.get();
  facts.key.device = info.st_dev;
  facts.key.fsid = space.f_fsid;
  const auto block = static_cast<Bytes>(space.f_frsize);
  facts.total = static_cast<Bytes>(space.f_blocks) * block;
  facts.free = static_cast<Bytes>(space.f_bavail) * block;
  facts.free_to_root = static_cast<Bytes>(space.f_bfree) * block;
  facts.total_inodes = static_cast<std::int64_t>(space.f_files);
  facts.free_inodes = static_cast<std::int64_t>(space.f_favail);
  return facts;
}

std::string device_label(dev_t device) { return format("{}:{}", major(device), minor(device)); }

}  // namespace buildwarden::disk
