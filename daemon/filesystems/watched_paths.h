// Which folders are watched, and what they mean.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "config/settings.h"
#include "daemon/ports/filesystems.h"

namespace buildwarden::disk {

// Where the engine keeps what it has.
struct EngineHome {
  std::string data_root;            // "" before anybody knows
  std::vector<std::string> stores;  // the folders of containerd that have the images; none: the data root has them
  // containerd has the images, and nobody knows where now: they lie on no watched disk. `stores`: where they were.
  bool is_store_unknown = false;
  // Nobody has said where the data root is: it is the usual place, where there may be nothing.
  bool is_assumed = false;
};

struct WatchedFolder {
  std::string path;
  // "data_root", "volumes", "containerd", "images" (of containerd's image store), "builds", "configured", "state",
  // "root", "cache_dirs", "git_mirrors"
  std::vector<std::string> roles;
  bool gate = false;
  bool optional = false;  // when there is no such folder it is simply not watched
  std::set<ports::Kept> keeps{};
};

// `home`: what the engine says, before that what daemon.json says. With disk.watch empty (auto): the data root, the
// volumes in it, where builders keep their caches, the stores of its images or else containerd's usual root, the builds
// folder (these gate), the state folder and `/`. Otherwise the folders as configured, and the data root, its volumes
// and the stores all the same, which then do not gate: without them nobody knows what a reclaim can free. The cache
// folders in both cases, for the same reason, and the builds where they may be purged; they do not gate. A folder named
// twice is one, with the roles of both.
std::vector<WatchedFolder> watched_folders(const Settings& settings, const EngineHome& home);

}  // namespace buildwarden::disk
