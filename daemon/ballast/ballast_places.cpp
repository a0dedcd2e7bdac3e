#include "daemon/ballast/ballast_places.h"

#include <algorithm>

#include "common/format.h"

namespace buildwarden::disk {

const ports::FilesystemSnapshot* find_filesystem(const std::vector<ports::FilesystemSnapshot>& filesystems,
                                                 const std::string& name) {
  const auto found =
      std::find_if(filesystems.begin(), filesystems.end(),
                   [&name](const ports::FilesystemSnapshot& filesystem) { return filesystem.name == name; });
  return found == filesystems.end() ? nullptr : &*found;
}

std::string why_unfit(const ports::FilesystemSnapshot& filesystem) {
  if (!filesystem.home || filesystem.home->device != filesystem.device) return "the mount table does not show it";
  if (filesystem.home->type != "ext4" && filesystem.home->type != "xfs") {
    return format("only ext4 and xfs carry one, and this is {}", filesystem.home->type);
  }
  return filesystem.home->read_only ? "it is mounted read-only" : "";
}

std::vector<BallastPlace> places_on(const ports::FilesystemSnapshot& filesystem, const std::string& state_folder,
                                    const std::vector<MountEntry>& mounts) {
  std::vector<BallastPlace> places;
  const auto* state = mount_of(mounts, state_folder);
  if (state != nullptr && state->device == filesystem.device) places.push_back({state_folder, false});
  places.push_back({filesystem.home->mount_point, true});
  return places;
}

}  // namespace buildwarden::disk
