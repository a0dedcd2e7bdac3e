// Which folders are watched, and what they mean.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"

namespace buildwarden::disk {

inline constexpr const char* kContainerdRoot = "/var/lib/containerd";

struct WatchedFolder {
  std::string path;
  // "data_root", "volumes", "containerd", "builds", "configured", "state", "root", "cache_dirs"
  std::vector<std::string> roles;
  bool gate = false;
  bool optional = false;  // when there is no such folder it is simply not watched
};

// `data_root`: what the engine says, before that what daemon.json says. With disk.watch empty (auto): the data root,
// the volumes in it, where builders keep their caches, containerd's root, the builds folder (these gate), the state
// folder and `/`. Otherwise the folders as configured, and the data root and its volumes all the same, which then do
// not gate: without them nobody knows what a reclaim can free. The cache folders in both cases, for the same reason,
// and the builds where they may be purged; they do not gate. A folder named twice is one, with the roles of both.
std::vector<WatchedFolder> watched_folders(const Settings& settings, const std::string& data_root);

}  // namespace buildwarden::disk
