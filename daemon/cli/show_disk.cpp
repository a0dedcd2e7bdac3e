#include "common/format.h"
#include "common/visible_text.h"
#include "daemon/cli/answer.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/show.h"
#include "daemon/cli/table.h"

namespace buildwarden::cli {
namespace json = boost::json;

namespace {

// What takes the room, for the filesystems of which that is known.
std::string users_table(const json::array& filesystems, const Look& look) {
  std::vector<std::vector<std::string>> rows = {{"MOUNT", "USER", "NAME", "SIZE"}};
  for (const auto& filesystem : filesystems) {
    for (const auto& user : list(filesystem, "users")) {
      rows.push_back({text(filesystem, "mount"), text(user, "kind"), text(user, "name"), size(user, "bytes")});
    }
    if (number(filesystem, "unattributed_bytes")) {
      rows.push_back({text(filesystem, "mount"), "unattributed", "", size(filesystem, "unattributed_bytes")});
    }
  }
  return rows.size() == 1 ? "" : "\n" + table(std::move(rows), look);
}

}  // namespace

std::string refused_lines(const json::value& answer) {
  std::string lines;
  for (const auto& root : list(answer, "refused_roots")) {
    lines += visible(format("nothing is deleted in {}: {}", text(root, "path"), text(root, "reason"))) + "\n";
  }
  const auto unknown = text(member(answer, "image_store"), "unknown");
  if (unknown.empty()) return lines;
  return lines + visible(format("no image is deleted: where containerd has them is not known ({})", unknown)) + "\n";
}

int show_disk(const Context& context) {
  return show(context, "/v1/disk", [look = context.look()](const json::value& answer) {
    const auto& filesystems = list(answer, "filesystems");
    const auto refused = refused_lines(answer);
    return filesystems_table(filesystems, look) + users_table(filesystems, look) +
           (refused.empty() ? "" : "\n" + refused);
  });
}

}  // namespace buildwarden::cli
