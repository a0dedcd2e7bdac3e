// How a builder's containers, volume, folders and files are called, on the host and inside its containers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"

namespace buildwarden::builders {

// Inside the containers; BuildKit's own defaults, so that `buildctl` finds the socket without being told.
inline constexpr std::string_view kSocketFolderInside = "/run/buildkit";
inline constexpr std::string_view kSocketInside = "/run/buildkit/buildkitd.sock";
inline constexpr std::string_view kConfigFolderInside = "/etc/buildkit";
inline constexpr std::string_view kConfigInside = "/etc/buildkit/buildkitd.toml";
inline constexpr std::string_view kStateInside = "/var/lib/buildkit";

// The container that runs buildkitd; also its first volume's name, which is not the one that `buildx rm` deletes.
inline std::string real_container(std::string_view builder) { return "buildwarden_" + std::string(builder); }

// The container that `buildx create --name NAME --driver docker-container` looks for.
inline std::string front_container(std::string_view name) { return "buildx_buildkit_" + std::string(name) + "0"; }

// The builder's own front, then one an alias, in the order of the configuration.
inline std::vector<std::string> fronts_of(const BuilderSettings& builder) {
  std::vector<std::string> names{front_container(builder.name)};
  for (const auto& alias : builder.aliases) names.push_back(front_container(alias));
  return names;
}

// The instance that jobs are given. Not the builder's own name: a job's `create` of that name must not collide.
inline std::string instance_name(std::string_view builder) { return "buildwarden-" + std::string(builder); }

// On the host; of tmpfs, made again after a boot.
inline std::string socket_folder(const PathSettings& paths, std::string_view builder) {
  return paths.run + "/builders/" + std::string(builder);
}
inline std::string socket_path(const PathSettings& paths, std::string_view builder) {
  return socket_folder(paths, builder) + "/buildkitd.sock";
}
inline std::string endpoint(const PathSettings& paths, std::string_view builder) {
  return "unix://" + socket_path(paths, builder);
}
inline std::string config_folder(const PathSettings& paths, std::string_view builder) {
  return paths.state + "/builders/" + std::string(builder);
}

}  // namespace buildwarden::builders
