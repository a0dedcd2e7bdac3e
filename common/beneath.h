// Opening what lies below a folder that is held open, and nothing else: no link is followed, no mount is crossed.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/unique_fd.h"

namespace buildwarden {

// `name` is one component: not empty, "." or "..", without a slash. kInvalid otherwise.
Result<void> check_component(const std::string& name);

// openat2(2), Linux 5.6, with RESOLVE_BENEATH, NO_SYMLINKS, NO_MAGICLINKS and NO_XDEV. The answer: a descriptor, or one
// that is not open with errno set: EXDEV is a mount point (bind mounts too), ELOOP a link, ENOTDIR with O_DIRECTORY
// something else.
UniqueFd open_beneath(int folder, const char* name, int flags);

struct FolderEntry {
  std::string name;        // one component
  unsigned char type = 0;  // DT_DIR, DT_LNK, …; DT_UNKNOWN: the filesystem does not say
};

// All that is in the folder but "." and "..", in no order; `where` is its name for people. The folder's own position is
// not moved. kTooLarge: more than `most`; kDenied, kIo: it cannot be read.
Result<std::vector<FolderEntry>> entries_of(int folder, const std::string& where, std::size_t most);

// At most `most` of them, any ones of the first million, so that a folder with more is seen in parts by one look after
// the other. `all`: how many there are, a million at most.
struct SomeEntries {
  std::vector<FolderEntry> entries;
  std::size_t all = 0;
};
Result<SomeEntries> some_entries_of(int folder, const std::string& where, std::size_t most);

// Where what is open lies now, as /proc shows it to this process: for comparing with what /proc says of others, never
// for opening it again. kNotFound: it has no name any more.
Result<std::string> path_of(int descriptor);

}  // namespace buildwarden
