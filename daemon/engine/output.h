// The output of a command in a container as the engine multiplexes it. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/result.h"

namespace buildwarden::engine {

// Strips the frames ({stream, 0, 0, 0, size in 4 bytes, big endian}) and joins stdout and stderr in the order they
// came, at most `most` bytes. kProtocol: not frames, or cut off within one.
Result<std::string> decode_output(std::string_view frames, std::size_t most);

}  // namespace buildwarden::engine
