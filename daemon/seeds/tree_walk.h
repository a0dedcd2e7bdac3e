// Everything in a folder, each folder before what is in it.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <string>

#include "common/result.h"

namespace buildwarden::seeds {

struct Found {
  std::string path;  // below the folder; "." is the folder itself
  struct stat info{};
};

// Calls `take` with each, until it fails. No link is followed, no mount crossed, sockets are left out. kIo: something
// cannot be looked at.
Result<void> walk(int folder, const std::function<Result<void>(Found)>& take);

// The content of a file, without its holes, as the blocks that it occupies tell it.
inline off_t content_of(const struct stat& info) {
  constexpr off_t kBlock = 512;  // of st_blocks (stat(2))
  const auto occupied = static_cast<off_t>(info.st_blocks) * kBlock;
  return occupied < info.st_size ? occupied : info.st_size;
}

}  // namespace buildwarden::seeds
