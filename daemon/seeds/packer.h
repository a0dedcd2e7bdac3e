// Packs a folder into the parts of a seed: the first has the folders, the others the files, written side by side.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/units.h"
#include "daemon/policy/seed.h"

namespace buildwarden::seeds {

// Names of folders, or of files with further names, that one thread keeps: both ends hold them in memory until the end.
inline constexpr std::size_t kMostKeptNames = std::size_t{256} * 1024 * 1024;

struct PartWritten {
  Bytes bytes = 0;  // of the archive
  std::string sha256;
};

struct Packed {
  std::vector<PartWritten> parts;  // in the order of the descriptors
  Bytes bytes = 0;                 // of content, holes not counted
  std::int64_t entries = 0;
};

struct PackOptions {
  Bytes most = 0;                     // of content
  std::function<void(Bytes)> told{};  // the bytes read so far; on any of the threads
  std::int64_t most_entries = policy::kMostSeedEntries;
  std::size_t most_names = kMostKeptNames;
  std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
  // Why nobody reads a part any more, asked on its thread: the error of pack() then. SIGPIPE must be ignored.
  std::function<Error(std::size_t part)> why_closed{};
};

// Of one file, its holes counted. The kernel lets anybody make one of 8 EiB without a single block, and libarchive
// takes a file's holes piece by piece.
inline constexpr Bytes kLargestFile = 1024 * kGiB;

// Tar (pax) with zstd: owners, modes, times to the nanosecond, holes, hard links, POSIX ACLs, user, trusted and
// security attributes (but SELinux's labels, which are the host's), whiteouts and named pipes. Sockets are left out:
// they are nothing without their process. No link is followed and no mount crossed. `parts`: two or more descriptors to
// write to, each with a thread of its own. kTooLarge: more than `most` or `most_entries`, or a file of more than
// kLargestFile; kTimeout: `until` is over; kInvalid: a device node, which no seed may have; kIo: something cannot be
// read, or changed meanwhile, or a part cannot be written.
Result<Packed> pack(int folder, const std::vector<int>& parts, const PackOptions& options);

// What pack() would come to, without reading any content.
struct Measured {
  Bytes bytes = 0;
  std::int64_t entries = 0;
};
Result<Measured> measure(int folder);

}  // namespace buildwarden::seeds
