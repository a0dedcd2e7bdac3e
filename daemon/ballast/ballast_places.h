// Which filesystems carry a ballast, and where on them. Pure.
#pragma once

#include <string>
#include <vector>

#include "daemon/ballast/ballast_file.h"
#include "daemon/ports/filesystems.h"

namespace buildwarden::disk {

// nullptr: there is none of that name.
const ports::FilesystemSnapshot* find_filesystem(const std::vector<ports::FilesystemSnapshot>& filesystems,
                                                 const std::string& name);

// "" for a writable ext4 or xfs, else why not.
std::string why_unfit(const ports::FilesystemSnapshot& filesystem);

// The daemon's own folder where it lies on that filesystem by the mount table, then a hidden folder at the root of the
// mount that shows the whole of it, or the most.
std::vector<BallastPlace> places_on(const ports::FilesystemSnapshot& filesystem, const std::string& state_folder,
                                    const std::vector<MountEntry>& mounts);

}  // namespace buildwarden::disk
