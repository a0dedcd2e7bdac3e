// Where a containerd keeps images: found by what its process has open, so that no configuration has to be read.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"

namespace buildwarden {

// Where it keeps what it has, unless it is told otherwise.
inline constexpr const char* kContainerdRoot = "/var/lib/containerd";

// The folders of the containerd that listens on `socket`: its root, and the snapshotter's own folder where that does
// not lie below it. containerd holds its metadata open for as long as it lives, and a snapshotter's from its first use
// (io.containerd.metadata.v1.bolt/meta.db, io.containerd.snapshotter.v1.<name>/metadata.db), wherever `root`, a
// plugin's `root_path`, an imported file or a link put them. `socket` empty: the only containerd of this machine.
// kUnavailable: nobody listens there, or there are several or none; kNotFound: its process has no such file open, or
// not one that is here as well (another mount namespace); kDenied: it may not be looked at. Reads /proc: for a worker.
Result<std::vector<std::string>> containerd_stores(const std::string& socket, const std::string& snapshotter,
                                                   const std::string& proc = "/proc");

}  // namespace buildwarden
