// Reading files at places where somebody else than root may make, rename or replace what is there.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.h"
#include "common/units.h"

namespace buildwarden {

// Whose word the content is. kRoot: the file is root's or our own user's, and nobody else may
// write to it, nor any group.
enum class FileOwner : std::uint8_t { kAnybody, kRoot };

struct ForeignFile {
  std::string text;
  std::int64_t changed = 0;  // when it was last written to, in ns by its filesystem's clock; a rename changes nothing
};

// The whole file, at most `limit` bytes. What is there is looked at before it is opened, so that a pipe never waits for
// its other end and a device never hears of us. A symbolic link counts only where root owns it and the folder that it
// stands in, and nobody else may write there; in a folder where others may replace what is root's, no mount is entered.
// kNotFound: there is none; kDenied: a link that somebody else may have made, or with kRoot a file that is not root's
// alone, or that somebody keeps open for writing for half a second (the text says whose it is and what would be
// right); kInvalid: no regular file; kTooLarge; kIo.
// The path is absolute. A filesystem of a job's own (FUSE, NFS) may still keep a read waiting: for a pool of threads
// that nothing else waits for, with a deadline.
Result<ForeignFile> read_foreign_file(const std::string& path, FileOwner owner, Bytes limit);

// Whether others than root may rename, remove or replace `path`: they may write to the folder that it stands in, and it
// is not a sticky one of root's. True also when that cannot be told.
bool may_others_replace(const std::string& path);

}  // namespace buildwarden
