#include "daemon/jobs/admission.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

namespace buildwarden::jobs {
namespace {

constexpr std::size_t kMostUsers = 10;

}  // namespace

std::vector<ports::FilesystemSnapshot> gating(const ports::DiskView& disk) {
  std::vector<ports::FilesystemSnapshot> gates;
  for (const auto& filesystem : disk.filesystems) {
    if (filesystem.gate) gates.push_back(filesystem);
  }
  return gates;
}

std::vector<policy::GateFilesystem> gates_of(const std::vector<ports::FilesystemSnapshot>& filesystems) {
  std::vector<policy::GateFilesystem> gates;
  for (const auto& filesystem : filesystems) {
    policy::GateFilesystem gate;
    gate.mount = filesystem.mount;
    if (filesystem.reading) {
      gate.level = filesystem.pressure.level;
      gate.free = filesystem.reading->free;
      gate.free_inodes = filesystem.reading->free_inodes;
    }
    if (filesystem.reading) gate.total = filesystem.reading->total;
    gate.target = filesystem.marks.target;
    gate.critical = filesystem.marks.critical;
    gate.critical_inodes = filesystem.marks.critical_inodes;
    gates.push_back(std::move(gate));
  }
  return gates;
}

Bytes least_free(const std::vector<ports::FilesystemSnapshot>& filesystems) {
  std::optional<Bytes> least;
  for (const auto& filesystem : filesystems) {
    if (!filesystem.reading) continue;
    least = std::min(least.value_or(filesystem.reading->free), filesystem.reading->free);
  }
  return least.value_or(0);
}

policy::Reservation reservation_of(const ports::Lease& lease) {
  policy::Reservation reserved;
  reserved.job = lease.id;
  reserved.pipeline = lease.pipeline;
  reserved.uid = lease.uid;
  reserved.bytes = lease.reserved_bytes;
  reserved.from_all = lease.reserved_from_all;
  reserved.since = lease.started;
  reserved.free_at_start = lease.free_at_start;
  reserved.written = lease.written_bytes;
  reserved.wrote = lease.wrote;
  return reserved;
}

std::vector<ports::DiskUser> biggest_users(const std::vector<ports::FilesystemSnapshot>& filesystems,
                                           const std::string& mount) {
  std::vector<ports::DiskUser> users;
  for (const auto& filesystem : filesystems) {
    if (filesystem.mount != mount) continue;
    users = filesystem.users;
    users.push_back({"unattributed", "", filesystem.unattributed().value_or(0)});
  }
  std::erase_if(users, [](const ports::DiskUser& user) { return user.bytes <= 0; });
  std::sort(users.begin(), users.end(), [](const ports::DiskUser& one, const ports::DiskUser& other) {
    return std::tie(other.bytes, one.name) < std::tie(one.bytes, other.name);
  });
  if (users.size() > kMostUsers) users.resize(kMostUsers);
  return users;
}

}  // namespace buildwarden::jobs
