#include "daemon/filesystems/watched_paths.h"

#include "common/containerd_stores.h"

#include <algorithm>
#include <utility>

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
  same->keeps.merge(folder.keeps);
  same->optional = same->optional && folder.optional;
}

void add_engines(std::vector<WatchedFolder>& folders, const EngineHome& home, bool gate) {
  if (!home.data_root.empty()) {
    WatchedFolder root{home.data_root, {"data_root"}, gate, home.is_assumed};
    if (home.stores.empty() && !home.is_store_unknown) root.keeps.insert(ports::Kept::kImages);
    add(folders, std::move(root));
    add(folders, WatchedFolder{home.data_root + "/volumes", {"volumes"}, gate, true, {ports::Kept::kVolumes}});
  }
  for (const auto& store : home.stores) {
    WatchedFolder folder{store, {"containerd", "images"}, gate, false};
    if (!home.is_store_unknown) folder.keeps.insert(ports::Kept::kImages);
    add(folders, std::move(folder));
  }
}

}  // namespace

std::vector<WatchedFolder> watched_folders(const Settings& settings, const EngineHome& home) {
  std::vector<WatchedFolder> folders;
  const bool automatic = settings.disk.watch.empty();
  add_engines(folders, home, automatic);
  for (const auto& watched : settings.disk.watch) {
    add(folders, WatchedFolder{watched.path, {"configured"}, watched.gate, false});
  }
  for (const auto& cache : settings.disk.cache_dirs) add(folders, WatchedFolder{cache, {"cache_dirs"}, false, true});
  // As with the data root: what a purge frees must be known, it gates only when it is configured to.
  if (!automatic && settings.on_full.purge_builds) {
    add(folders, WatchedFolder{settings.paths.builds, {"builds"}, false, true});
  }
  if (automatic || settings.on_full.purge_mirrors) {
    add(folders, WatchedFolder{settings.paths.git_mirrors, {"git_mirrors"}, false, true});
  }
  if (!automatic) return folders;
  if (home.stores.empty()) add(folders, WatchedFolder{kContainerdRoot, {"containerd"}, true, true});
  add(folders, WatchedFolder{settings.paths.builds, {"builds"}, true, true});
  add(folders, WatchedFolder{settings.paths.state, {"state"}, false, true});
  add(folders, WatchedFolder{"/", {"root"}, false, false});
  return folders;
}

}  // namespace buildwarden::disk
