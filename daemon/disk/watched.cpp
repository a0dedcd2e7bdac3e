#include "daemon/disk/watched.h"

#include <algorithm>

namespace buildwarden::disk {
namespace {

void add(std::vector<WatchedFolder>& folders, WatchedFolder folder) {
  if (folder.path.empty()) return;
  const auto same = std::find_if(folders.begin(), folders.end(),
                                 [&folder](const WatchedFolder& known) { return known.path == folder.path; });
  if (same == folders.end()) {
    folders.push_back(std::move(folder));
    return;
  }
  same->roles.insert(same->roles.end(), folder.roles.begin(), folder.roles.end());
  same->gate = same->gate || folder.gate;
  same->optional = same->optional && folder.optional;
}

}  // namespace

std::vector<WatchedFolder> watched_folders(const Settings& settings, const std::string& data_root) {
  std::vector<WatchedFolder> folders;
  const bool automatic = settings.disk.watch.empty();
  add(folders, WatchedFolder{data_root, {"data_root"}, automatic, false});
  if (!data_root.empty()) add(folders, WatchedFolder{data_root + "/volumes", {"volumes"}, automatic, true});
  for (const auto& watched : settings.disk.watch) {
    add(folders, WatchedFolder{watched.path, {"configured"}, watched.gate, false});
  }
  for (const auto& cache : settings.disk.cache_dirs) add(folders, WatchedFolder{cache, {"cache_dirs"}, false, true});
  // As with the data root: what a purge frees must be known, it gates only when it is configured to.
  if (!automatic && settings.on_full.purge_builds) {
    add(folders, WatchedFolder{settings.paths.builds, {"builds"}, false, true});
  }
  if (!automatic) return folders;
  add(folders, WatchedFolder{kContainerdRoot, {"containerd"}, true, true});
  add(folders, WatchedFolder{settings.paths.builds, {"builds"}, true, true});
  add(folders, WatchedFolder{settings.paths.state, {"state"}, false, true});
  add(folders, WatchedFolder{"/", {"root"}, false, false});
  return folders;
}

}  // namespace buildwarden::disk
