// Room that the database takes in advance, so that it can be written on a full disk: pages of the file that are free,
// and a write-ahead log of its full size. Overwriting blocks that a file has needs none on ext4 and XFS.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"
#include "common/units.h"
#include "daemon/state/sqlite.h"

namespace buildwarden::state {

// 1,018 pages: the log starts again at its beginning after some 256 of them, and no transaction of ours, the filler
// included, needs more.
inline constexpr Bytes kLogBytes = 4 * kMiB;

// In pages of 4 KiB.
struct RoomLimits {
  std::int64_t enough = 512;        // free in the file; below it grows
  std::int64_t reserve = 768;       // free in the file after it grew
  std::int64_t most = 16'384;       // of the whole file, 64 MiB
  Bytes spare_on_disk = 16 * kMiB;  // it grows only while the disk has as much
};

// Writes zeros at the end of `path` up to kLogBytes: a log ends where its checksums end. On an error it has its old
// length. kTooLarge: the disk is full.
Result<void> reserve_log(const std::string& path);

// Makes room for `limits.reserve` pages in the file, whatever the disk has. kTooLarge: the disk or the file is full.
Result<void> grow(Connection& connection, const RoomLimits& limits);

// Grows the file at `path` where that is needed and harmless. An error is only that: what room there is stays.
Result<void> keep_room(Connection& connection, const std::string& path, const RoomLimits& limits);

}  // namespace buildwarden::state
