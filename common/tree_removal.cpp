#include "common/tree_removal.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "common/beneath.h"
#include "common/format.h"
#include "common/removal_crew.h"
#include "common/tree_remover.h"

namespace buildwarden {
namespace {

Result<struct stat> status_of(int folder, const std::string& name) {
  struct stat what{};
  if (::fstatat(folder, name.c_str(), &what, AT_SYMLINK_NOFOLLOW) != 0) {
    return Error::from_errno(errno, format("look at {}", name));
  }
  return what;
}

// The whole of it by several threads, but for the folders that they had to leave to one another.
Result<TreeRemoved> remove_side_by_side(int parent, const std::string& name, TreeIdentity identity,
                                        const RemovalOptions& options) {
  RemovalCrew crew(options);
  TreeRemover::Options own{options.stop, options.until, options.clear_flags,
                           [&crew](RemovalTask task) { return crew.take_over(std::move(task)); }};
  TreeRemover remover(parent, "", std::move(own));
  const auto removed = remover.remove_folder(name, identity);
  const auto& others = crew.finish();
  if (!removed) return removed.error();
  auto result = std::move(remover.result());
  result.removed += others.removed;
  result.bytes += others.bytes;
  return result;
}

// What is left after the crew: seen and counted anew by one.
void remove_rest(int parent, const std::string& name, TreeIdentity identity, const RemovalOptions& options,
                 TreeRemoved& result) {
  result.left = 0;
  result.mounts.clear();
  result.first_error.clear();
  result.stopped = false;
  const auto rest = tree_identity_in(parent, name);
  if (!rest) return;
  if (*rest != identity) {
    result.left = 1;
    result.first_error = format("{} was swapped for another one", name);
    return;
  }
  TreeRemover remover(parent, "", {options.stop, options.until, options.clear_flags, {}});
  if (!remover.remove_folder(name, identity)) return;
  auto& more = remover.result();
  more.removed += result.removed;
  more.bytes += result.bytes;
  result = std::move(more);
}

}  // namespace

Result<TreeRemoved> remove_tree_in(int parent, const std::string& name, TreeIdentity identity,
                                   const RemovalOptions& options) {
  if (auto fine = check_component(name); !fine) return std::move(fine).error();
  const auto what = status_of(parent, name);
  if (!what) return what.error();
  if (TreeIdentity{what->st_dev, what->st_ino} != identity) {
    return Error(Errc::kConflict, format("{} is another one by now", name));
  }
  TreeRemover remover(parent, "", {options.stop, options.until, options.clear_flags, {}});
  if (!S_ISDIR(what->st_mode)) {
    remover.remove(name);
    return std::move(remover.result());
  }
  if (options.threads <= 1) {
    if (auto removed = remover.remove_folder(name, identity); !removed) return std::move(removed).error();
    return std::move(remover.result());
  }
  auto result = remove_side_by_side(parent, name, identity, options);
  if (result) remove_rest(parent, name, identity, options, *result);
  return result;
}

Result<TreeIdentity> tree_identity_in(int parent, const std::string& name) {
  if (auto fine = check_component(name); !fine) return std::move(fine).error();
  const auto what = status_of(parent, name);
  if (!what) return what.error();
  return TreeIdentity{what->st_dev, what->st_ino};
}

}  // namespace buildwarden
