// An entry of binfmt_misc, read from the kernel's text. Pure.
#pragma once

#include <string>
#include <string_view>

#include "common/result.h"
#include "daemon/policy/emulation.h"

namespace buildwarden::emulation {

// The whole text of /proc/sys/fs/binfmt_misc/<name>. kProtocol: it is not what the kernel promises: the first line is
// `enabled` or `disabled`, then `interpreter PATH`, `flags: LETTERS`, and `offset`, `magic` and perhaps `mask` in hex;
// or `extension .X` instead of those three. Lines that are not known are passed over: later kernels have more.
Result<policy::BinfmtEntry> parse_entry(std::string name, std::string_view text);

}  // namespace buildwarden::emulation
