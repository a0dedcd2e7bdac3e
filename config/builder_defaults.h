// What a builder's settings take from elsewhere once all sources are merged: its own buildkitd.toml, and the engine's
// registries.
#pragma once

#include <vector>

#include "config/layer.h"
#include "config/merge.h"

namespace buildwarden::config {

// A proxy of the engine's with a login is each builder's, where `env` does not name it in either spelling.
// Reads each `builders[].buildkitd_toml` into `buildkitd_text`, and what is wrong with one is a mistake. Then what
// daemon.json says of registries is each builder's default, where neither the YAML nor that file says anything of the
// registry: a mirror of Docker Hub, and for an insecure one both `http` and `insecure`, since the engine tries TLS
// without a check of the certificate, then none.
std::vector<Mistake> complete_builders(Merge& merge);

}  // namespace buildwarden::config
