#include "daemon/api/attention.h"

#include <algorithm>

#include "common/format.h"

namespace buildwarden::api {
namespace {

// What is missing on it for a job that needs nothing, "" when nothing is.
std::string shortage_of(const ports::FilesystemSnapshot& disk, const policy::Reading& reading) {
  const auto needed = std::max<Bytes>(disk.marks.critical, 1);
  if (reading.free < needed) {
    return format("{} free on {}, {} needed", format_bytes(reading.free), disk.mount, format_bytes(needed));
  }
  if (reading.total_inodes > 0 && reading.free_inodes < disk.marks.critical_inodes) {
    return format("{} inodes free on {}, {} needed", reading.free_inodes, disk.mount, disk.marks.critical_inodes);
  }
  return "";
}

// Before its users were asked for the first time nobody knows whose it is.
std::string others_share(const ports::FilesystemSnapshot& disk) {
  const auto others = unattributed_bytes(disk).value_or(0);
  return disk.users.empty() || others <= 0 ? "" : format("; {} is not Docker's", format_bytes(others));
}

}  // namespace

std::optional<Bytes> unattributed_bytes(const ports::FilesystemSnapshot& disk) {
  if (!disk.reading) return std::nullopt;
  Bytes rest = disk.reading->total - disk.reading->free - disk.ballast.bytes;
  for (const auto& user : disk.users) rest -= user.bytes;
  return std::max<Bytes>(rest, 0);
}

std::vector<Attention> attention_of(const ports::DiskView& view) {
  std::vector<Attention> all;
  for (const auto& disk : view.filesystems) {
    if (!disk.gate || !disk.reading || !disk.error.empty()) continue;
    const auto shortage = shortage_of(disk, *disk.reading);
    if (shortage.empty()) continue;
    const auto* more = view.reclaiming ? "; space is being made now" : "";
    all.push_back(
        {"disk " + disk.mount, format("No new jobs: {}{}{}", shortage, others_share(disk), more), "no_new_jobs"});
  }
  return all;
}

}  // namespace buildwarden::api
