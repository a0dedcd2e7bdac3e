// buildkitd.toml of a builder, from its settings. Pure.
#pragma once

#include <string>
#include <string_view>

#include "config/settings.h"

namespace buildwarden::builders {

// The whole file. The cache's bound stands in the keys of every BuildKit version (unknown ones are ignored by it).
// Holds no secret: credentials come with each build from its client. `buildkitd_text` is merged in: tables key by key,
// what the daemon sets wins. `filesystem`: the size of the one that the builder's volume lies on, by which a share
// becomes bytes; 0: not known, or not to matter.
std::string buildkitd_toml(const BuilderSettings& builder, Bytes filesystem = 0);

// Where a registry's CA lies, relative to the folder of the file: "certs/registry.example_5000/ca.pem".
std::string certificate_file(std::string_view registry_host);

}  // namespace buildwarden::builders
