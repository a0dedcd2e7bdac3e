#include "daemon/engine/output.h"

#include <algorithm>
#include <cstdint>

namespace buildwarden::engine {
namespace {

constexpr std::size_t kHeader = 8;
constexpr unsigned char kLastStream = 2;  // 0 stdin, 1 stdout, 2 stderr

}  // namespace

Result<Output> decode_output(std::string_view frames, std::size_t most) {
  Output output;
  while (!frames.empty()) {
    if (frames.size() < kHeader) return Error(Errc::kProtocol, "the output ends within a frame's head");
    if (static_cast<unsigned char>(frames[0]) > kLastStream || frames.substr(1, 3) != std::string_view("\0\0\0", 3)) {
      return Error(Errc::kProtocol, "the output does not come in frames");
    }
    const bool of_errors = static_cast<unsigned char>(frames[0]) == kLastStream;
    std::uint32_t size = 0;
    for (std::size_t i = 4; i < kHeader; ++i) size = size << 8U | static_cast<unsigned char>(frames[i]);
    frames.remove_prefix(kHeader);
    if (frames.size() < size) return Error(Errc::kProtocol, "the output ends within a frame");
    auto& stream = of_errors ? output.err : output.out;
    output.cut = output.cut || size > most - stream.size();
    stream.append(frames.substr(0, std::min<std::size_t>(size, most - stream.size())));
    frames.remove_prefix(size);
  }
  return output;
}

}  // namespace buildwarden::engine
