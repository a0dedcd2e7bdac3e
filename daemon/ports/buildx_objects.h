// Which containers and volumes buildx and the engine made by themselves. Told by names and labels alone.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "daemon/ports/engine.h"

namespace buildwarden::ports {

// How buildx's docker-container driver calls its containers, and their state volumes. It sets no labels.
inline constexpr std::string_view kBuildxPrefix = "buildx_buildkit_";
inline constexpr std::string_view kBuildxVolumeSuffix = "_state";

inline bool is_ours(const std::map<std::string, std::string>& labels) {
  const auto owner = labels.find(std::string(kOwnerLabel));
  return owner != labels.end() && owner->second == kOwner;
}

// By its name, and not ours.
inline bool is_buildx_container(const ContainerRecord& container) {
  return container.name.starts_with(kBuildxPrefix) && !is_ours(container.labels);
}

inline bool is_buildx_volume(std::string_view name) {
  return name.starts_with(kBuildxPrefix) && name.ends_with(kBuildxVolumeSuffix) &&
         name.size() > kBuildxPrefix.size() + kBuildxVolumeSuffix.size();
}

// The volume that `buildx rm` would delete with the container.
inline std::string state_volume_of(const std::string& container_name) {
  return container_name + std::string(kBuildxVolumeSuffix);
}

// By its name alone (64 hexadecimal digits): what the engine calls a volume that nobody named.
inline bool is_unnamed_volume(std::string_view name) {
  constexpr std::size_t kIdLength = 64;
  return name.size() == kIdLength && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// By all that tells: such a name, the engine's own label and no other, files of the engine's own driver. Before engine
// 23.0 there is no such label, and nobody knows whether somebody gave it that name.
inline bool is_anonymous_volume(const VolumeRecord& volume) {
  return volume.is_plain && is_unnamed_volume(volume.name) && volume.labels.size() == 1 &&
         volume.labels.contains(std::string(kAnonymousLabel));
}

}  // namespace buildwarden::ports
