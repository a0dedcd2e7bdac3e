#include "daemon/disk/ballast_site.h"

#include <algorithm>

#include "common/format.h"

namespace buildwarden::disk {

const Site* find_site(const std::vector<Site>& sites, const std::string& name) {
  const auto found = std::find_if(sites.begin(), sites.end(), [&name](const Site& site) { return site.name == name; });
  return found == sites.end() ? nullptr : &*found;
}

std::string why_unfit(const Site& site) {
  if (site.mount == nullptr || site.mount->device != site.view->device) return "the mount table does not show it";
  if (site.mount->type != "ext4" && site.mount->type != "xfs") {
    return format("only ext4 and xfs carry one, and this is {}", site.mount->type);
  }
  return site.mount->read_only ? "it is mounted read-only" : "";
}

std::vector<BallastPlace> places_on(const Site& site, const std::string& state_folder,
                                    const std::vector<MountEntry>& mounts) {
  std::vector<BallastPlace> places;
  const auto* state = mount_of(mounts, state_folder);
  if (state != nullptr && state->device == site.view->device) places.push_back({state_folder, false});
  places.push_back({site.mount->mount_point, true});
  return places;
}

}  // namespace buildwarden::disk
