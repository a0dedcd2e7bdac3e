// What deletes and looks, by the path of the folder, for tests that own all on the way. The product has only what works
// by descriptors.
#pragma once

#include <fcntl.h>

#include <cerrno>
#include <string>
#include <utility>

#include "common/format.h"
#include "common/trash.h"
#include "common/tree_look.h"
#include "common/tree_removal.h"
#include "common/unique_fd.h"

namespace buildwarden::testing {

inline Result<UniqueFd> open_folder(const std::string& path) {
  UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.open()) return Error::from_errno(errno, format("open the folder {}", path));
  return folder;
}

inline Result<TreeIdentity> tree_identity(const std::string& parent, const std::string& name) {
  const auto folder = open_folder(parent);
  if (!folder) return folder.error();
  return tree_identity_in(folder->get(), name);
}

inline Result<TreeRemoved> remove_tree(const std::string& parent, const std::string& name, TreeIdentity identity,
                                       std::stop_token stop) {
  const auto folder = open_folder(parent);
  if (!folder) return folder.error();
  RemovalOptions options;
  options.stop = std::move(stop);
  return remove_tree_in(folder->get(), name, identity, options);
}

inline Result<std::string> throw_away(const std::string& parent, const std::string& name, TreeIdentity identity) {
  const auto folder = open_folder(parent);
  if (!folder) return folder.error();
  const auto trash = open_trash(folder->get(), parent, true);
  if (!trash) return trash.error();
  return buildwarden::throw_away({folder->get(), name, identity}, trash->get());
}

}  // namespace buildwarden::testing
