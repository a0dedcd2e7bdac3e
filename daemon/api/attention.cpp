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
  auto others = disk.unattributed().value_or(0);
  const ports::DiskUser* largest = nullptr;
  for (const auto& user : disk.users) {
    if (user.kind != "folder") continue;
    others += user.bytes;
    if (largest == nullptr || user.bytes > largest->bytes) largest = &user;
  }
  if (disk.users.empty() || others <= 0) return "";
  const auto where = largest == nullptr ? "" : format(", {} of it in {}", format_bytes(largest->bytes), largest->name);
  return format("; {} is not Docker's{}", format_bytes(others), where);
}

}  // namespace

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
