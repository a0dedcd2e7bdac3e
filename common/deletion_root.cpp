#include "common/deletion_root.h"

#include <utility>

#include "common/resolved_folder.h"
#include "common/trash.h"

namespace buildwarden {

Result<std::shared_ptr<DeletionRoot>> DeletionRoot::open(const std::string& path) {
  auto found = resolve_folder(path);
  if (!found) return std::move(found).error();
  if (!found->loose.empty()) return Error(Errc::kDenied, std::move(found->loose));
  return std::shared_ptr<DeletionRoot>(new DeletionRoot(std::move(found->folder), std::move(found->path)));
}

Result<int> DeletionRoot::trash(bool make) {
  const std::lock_guard lock(mutex_);
  if (trash_.open()) return trash_.get();
  auto opened = open_trash(folder_.get(), path_, make);
  if (!opened) return std::move(opened).error();
  trash_ = *std::move(opened);
  return trash_.get();
}

Result<std::string> DeletionRoot::throw_away(int from, const std::string& name, TreeIdentity identity,
                                             const std::string& label) {
  const auto trash = this->trash(true);
  if (!trash) return trash.error();
  return buildwarden::throw_away({from, name, identity, label}, *trash).with_context(path_);
}

Result<TreeRemoved> DeletionRoot::remove_thrown(const std::string& name, TreeIdentity identity,
                                                const RemovalOptions& options) {
  const auto trash = this->trash(false);
  if (!trash) return trash.error();
  return remove_tree_in(*trash, name, identity, options).with_context(path_);
}

std::string why_not_deletable(const std::string& path) {
  const auto found = resolve_folder(path, 0);
  if (found) return found->loose;
  const auto code = found.error().code();
  return code == Errc::kNotFound || code == Errc::kDenied ? "" : found.error().message();
}

}  // namespace buildwarden
