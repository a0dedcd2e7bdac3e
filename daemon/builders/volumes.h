// Which volume a builder is on, over restarts and while it has no container.
#pragma once

#include <string>

#include "common/result.h"
#include "config/settings.h"

namespace buildwarden::builders {

struct Volumes {
  int in_use = 1;
  int newest = 1;  // ever used
};

inline std::string volumes_file(const PathSettings& paths, const std::string& builder) {
  return paths.state + "/builders/" + builder + ".volume";
}

// Without the file the first volume, which is where every builder begins. kProtocol: it holds something else.
Result<Volumes> read_volumes(const std::string& file);
// Leaves no file where none is needed.
Result<void> write_volumes(const std::string& file, const Volumes& volumes);

}  // namespace buildwarden::builders
