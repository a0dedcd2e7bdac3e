// The output of a command in a container as the engine multiplexes it. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/result.h"

namespace buildwarden::engine {

struct Output {
  std::string out;
  std::string err;
  bool cut = false;  // one of them was longer
};

// Takes the frames ({stream, 0, 0, 0, size in 4 bytes, big endian}) apart into stdout and stderr, each of at most
// `most` bytes. kProtocol: not frames, or cut off within one.
Result<Output> decode_output(std::string_view frames, std::size_t most);

}  // namespace buildwarden::engine
