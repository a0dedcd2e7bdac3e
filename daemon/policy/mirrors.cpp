#include "daemon/policy/mirrors.h"

#include <algorithm>

namespace buildwarden::policy {

bool is_mirror_name(std::string_view name) {
  const auto is_good = [](char at) {
    return (at >= '0' && at <= '9') || (at >= 'a' && at <= 'z') || (at >= 'A' && at <= 'Z') || at == '-';
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), is_good);
}

bool is_mirror_seed_leftover(std::string_view name) { return name.starts_with(".git-mirror-seed-"); }

bool may_lie_in(std::string_view borrowed_from, std::string_view mirror) {
  while (!borrowed_from.empty()) {
    const auto end = std::min(borrowed_from.find('/'), borrowed_from.size());
    if (borrowed_from.substr(0, end) == mirror) return true;
    borrowed_from.remove_prefix(std::min(end + 1, borrowed_from.size()));
  }
  return false;
}

}  // namespace buildwarden::policy
