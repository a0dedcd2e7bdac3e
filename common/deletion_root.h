// Where root deletes: a folder that nobody else can exchange for another one, and its trash, both held open.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "common/result.h"
#include "common/tree_removal.h"
#include "common/unique_fd.h"

namespace buildwarden {

// Made by its path once; from then on all happens relative to its descriptors, whatever becomes of the path. What lies
// in it may be anybody's. It keeps its filesystem from being unmounted, so nobody holds it for longer than a plan and
// what is done by it. Any thread may use it.
class DeletionRoot {
 public:
  // For a worker. kNotFound: there is none; kDenied: somebody else could put another folder in its place (the text has
  // the reason and the cure), or the kernel refuses; the others as resolve_folder(), kConflict among them.
  static Result<std::shared_ptr<DeletionRoot>> open(const std::string& path);
  DeletionRoot(const DeletionRoot&) = delete;
  DeletionRoot& operator=(const DeletionRoot&) = delete;

  // Without links; for people, and for comparing with what /proc says. Never to be opened.
  [[nodiscard]] const std::string& path() const { return path_; }
  // O_RDONLY | O_DIRECTORY
  [[nodiscard]] int folder() const { return folder_.get(); }

  // The descriptor of its trash (common/trash.h), which is opened the first time and is the same one from then on.
  // Errors as open_trash().
  Result<int> trash(bool make);

  // Renames `name` in the folder `from`, which is this one or was opened beneath it, into the trash; the answer is its
  // name there, which ends with `label`. Errors as open_trash() and buildwarden::throw_away().
  Result<std::string> throw_away(int from, const std::string& name, TreeIdentity identity,
                                 const std::string& label = "");
  // Removes what is called `name` in the trash, as remove_tree_in().
  Result<TreeRemoved> remove_thrown(const std::string& name, TreeIdentity identity, const RemovalOptions& options);

 private:
  DeletionRoot(UniqueFd folder, std::string path) : folder_(std::move(folder)), path_(std::move(path)) {}

  UniqueFd folder_;
  std::string path_;
  std::mutex mutex_;  // for the opening of the trash
  UniqueFd trash_;
};

// Why the daemon, as root, deletes nothing in that folder, and the cure; "" when it does, when there is no such folder,
// or when the caller may not look. For a worker.
std::string why_not_deletable(const std::string& path);

}  // namespace buildwarden
