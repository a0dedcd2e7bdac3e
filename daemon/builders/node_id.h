// The id by which a builder recognises a job's build context: BuildKit keeps an uploaded context under the context
// folder's name and this id, and a job that comes with the same id sends only what has changed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace buildwarden::builders {

// Known to root on this host alone: without it nobody can compute the id of another pipeline's context.
using HostSecret = std::array<std::uint8_t, 32>;

// That of the file `path`, which is made (random bytes, 0600, with its folder) when there is none, or one that is not
// 32 bytes for its owner alone. Blocks. Several callers at once, threads or processes, get the same one.
// Errors: of the files, and of the kernel's random numbers.
Result<HostSecret> host_secret(const std::string& path);

// The first 16 hex characters of HMAC-SHA256(secret, both texts, each led by its length as 8 bytes, the highest first).
// 16: the length of buildx's own, in the file `.buildNodeID`.
std::string node_id(const HostSecret& secret, std::string_view pipeline, std::string_view checkout_path);

}  // namespace buildwarden::builders
