// Which filesystems carry a ballast, and where on them. Pure.
#pragma once

#include <string>
#include <vector>

#include "daemon/disk/ballast_file.h"
#include "daemon/disk/gauges.h"

namespace buildwarden::disk {

// nullptr: there is none of that name.
const Site* find_site(const std::vector<Site>& sites, const std::string& name);

// "" for a writable ext4 or xfs, else why not.
std::string why_unfit(const Site& site);

// The daemon's own folder where it lies on that filesystem by the mount table, then a hidden folder at the root of the
// mount that shows the whole of it, or the most.
std::vector<BallastPlace> places_on(const Site& site, const std::string& state_folder,
                                    const std::vector<MountEntry>& mounts);

}  // namespace buildwarden::disk
