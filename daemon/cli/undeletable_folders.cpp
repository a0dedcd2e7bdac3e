#include "daemon/cli/undeletable_folders.h"

#include <utility>

#include "common/deletion_root.h"
#include "common/format.h"

namespace buildwarden::cli {

std::vector<std::string> undeletable_folders(const Settings& settings) {
  std::vector<std::pair<std::string, std::string>> folders;
  if (settings.on_full.purge_builds) folders.emplace_back("paths.builds", settings.paths.builds);
  if (settings.on_full.purge_mirrors) folders.emplace_back("paths.git_mirrors", settings.paths.git_mirrors);
  for (const auto& folder : settings.disk.cache_dirs) folders.emplace_back("disk.cache_dirs", folder);
  std::vector<std::string> lines;
  for (const auto& [setting, folder] : folders) {
    const auto why = why_not_deletable(folder);
    if (!why.empty()) lines.push_back(format("nothing is deleted in {} ({}): {}", folder, setting, why));
  }
  return lines;
}

}  // namespace buildwarden::cli
