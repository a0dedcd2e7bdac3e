// What a builder's containers are created from, and a digest by which a changed configuration shows. Pure.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "config/settings.h"
#include "daemon/builders/volumes.h"
#include "daemon/ports/engine.h"

namespace buildwarden::builders {

// What a builder's containers need to know of the host.
struct HostFacts {
  PathSettings paths;
  gid_t agent_group = 0;  // may use the builders' sockets
  bool host_userns =
      false;          // the engine remaps users; neither buildkitd nor a front that must reach its socket can live so
  Volumes volumes{};  // of this builder
  ports::EngineProxies proxies{};  // the engine's, which are the builders' where their settings name none
  std::string data_root{};         // the engine's; "" = not known
};

// The container of buildkitd, without its label kSpecLabel. kInvalid: `memory` or `cpus` cannot be read.
Result<ports::ContainerSpec> real_spec(const BuilderSettings& builder, const HostFacts& host);

// A front of the builder, which only sleeps; without kSpecLabel.
ports::ContainerSpec front_spec(const BuilderSettings& builder, const HostFacts& host, const std::string& container);

// 16 hex characters over everything in the spec but its name and kSpecLabel, and over `files` (what is mounted into
// it). Stable over versions of this program as long as nothing that matters changes.
std::string config_digest(const ports::ContainerSpec& spec, std::string_view files);

// The value of kSpecLabel: configuration and image. Where the image's id is not known (it is not there, though the
// container is), the image counts as unchanged: what `observed` says, the label of the container that exists.
std::string spec_digest(const std::string& config, const std::optional<std::string>& image_id,
                        const std::string& observed);

}  // namespace buildwarden::builders
