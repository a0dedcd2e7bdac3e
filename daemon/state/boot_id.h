// Which boot this is: what is kept for one boot alone says its id.
#pragma once

#include <string>

#include "common/result.h"

namespace buildwarden::state {

inline constexpr const char* kBootId = "/proc/sys/kernel/random/boot_id";

// Without its newline. kInvalid: empty; else those of read_file().
Result<std::string> read_boot_id(const std::string& path);

}  // namespace buildwarden::state
