// Small files that are whole or absent, whenever the process or the machine stops.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/units.h"

namespace buildwarden {

// Replaces `path` by `content`: written beside it, synced, renamed over it. On any error the old file stays.
Result<void> write_file_atomically(const std::string& path, std::string_view content, mode_t mode = 0644);

// The same without a sync: whole or absent when the process stops; when the machine does, it may be torn. For what is
// of no use after a boot.
Result<void> replace_file(const std::string& path, std::string_view content, mode_t mode = 0644);

// The whole file, of the kernel's, of root's or our own: for one that somebody else may have put there see
// common/foreign_file.h. Never waits for a pipe's other end. kTooLarge beyond `limit` bytes, kNotFound when there is
// none, kInvalid for what is no regular file.
Result<std::string> read_file(const std::string& path, Bytes limit = 4 * kMiB);

// The same of what is open, from where it stands; `path` is for the errors' texts.
Result<std::string> read_all(int file, const std::string& path, Bytes limit);

// Calls `take` with each line, without its end, until it says false: for what the kernel shows of others, which may be
// of any length. Errors as read_file(); kTooLarge: a line of more than 64 KiB.
Result<void> read_lines(const std::string& path, const std::function<bool(std::string_view)>& take);

// Makes the folder and its missing parents (mode as given, less the umask); one that is there already is fine.
Result<void> make_folders(const std::string& path, mode_t mode = 0755);

}  // namespace buildwarden
