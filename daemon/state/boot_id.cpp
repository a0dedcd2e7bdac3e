#include "daemon/state/boot_id.h"

#include "common/atomic_file.h"
#include "common/format.h"

namespace buildwarden::state {

Result<std::string> read_boot_id(const std::string& path) {
  auto text = read_file(path, kKiB);
  if (!text) return text;
  while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
  if (text->empty()) return Error(Errc::kInvalid, format("{} is empty", path));
  return text;
}

}  // namespace buildwarden::state
