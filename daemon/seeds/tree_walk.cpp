#include "daemon/seeds/tree_walk.h"

#include <fcntl.h>

#include <cerrno>
#include <vector>

#include "common/beneath.h"
#include "common/format.h"
#include "common/visible_text.h"

namespace buildwarden::seeds {
namespace {

constexpr std::size_t kMostInFolder = 5'000'000;

Error walk_failed(const std::string& path, std::string_view doing) {
  return Error::from_errno(errno, format("{} {}", doing, visible(path)));
}

}  // namespace

// A list of folders to come, not a recursion: a builder's layers may be of any depth, and each is opened by its whole
// path below the root.
Result<void> walk(int folder, const std::function<Result<void>(Found)>& take) {
  Found root{".", {}};
  if (::fstat(folder, &root.info) != 0) return walk_failed(".", "look at");
  auto taken = take(root);
  std::vector<std::string> waiting = {"."};
  while (taken && !waiting.empty()) {
    const auto path = std::move(waiting.back());
    waiting.pop_back();
    const auto opened = open_beneath(folder, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!opened.open()) return walk_failed(path, "open");
    auto entries = entries_of(opened.get(), path, kMostInFolder);
    if (!entries) return std::move(entries).error();
    for (const auto& entry : *entries) {
      Found found{path == "." ? entry.name : path + "/" + entry.name, {}};
      if (::fstatat(opened.get(), entry.name.c_str(), &found.info, AT_SYMLINK_NOFOLLOW) != 0) {
        return walk_failed(found.path, "look at");
      }
      if (S_ISSOCK(found.info.st_mode)) continue;
      if (S_ISDIR(found.info.st_mode)) waiting.push_back(found.path);
      taken = take(std::move(found));
      if (!taken) return taken;
    }
  }
  return taken;
}

}  // namespace buildwarden::seeds
