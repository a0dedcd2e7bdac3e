#include <algorithm>

#include "daemon/policy/pressure.h"

namespace buildwarden::policy {
namespace {

struct Line {
  std::int64_t critical;
  std::int64_t low;
  std::int64_t target;
};

// What the operator wrote for one resource, in its own unit.
struct Wish {
  std::int64_t min_free;
  std::int64_t below;
  std::int64_t to;
};

// Below twice min_free the factors 1.25 and 1.5 would ask for more than such a filesystem can have free; a quarter and
// a half of what is above min_free can be reached.
Line line_for(const Wish& wish, std::int64_t total) {
  const auto critical = std::clamp<std::int64_t>(wish.min_free, 0, total);
  const auto above = total - critical;
  const auto low = std::max(wish.below, critical + std::min(critical / 4, above / 4));
  const auto target = std::max(wish.to, critical + std::min(critical / 2, above / 2));
  const auto clamped_low = std::min(low, total);
  return {critical, clamped_low, std::clamp(target, clamped_low, total)};
}

// A filesystem that only warns has no critical mark: nothing drastic is done for it.
Line warning_line(std::int64_t at, std::int64_t total) {
  const auto low = std::min(at, total / 20);
  return {0, low, low + low / 2};
}

}  // namespace

Marks marks_for(const DiskSettings& settings, const Reading& reading, bool gate) {
  const auto total = std::max<Bytes>(reading.total, 0);
  const auto total_inodes = std::max<std::int64_t>(reading.total_inodes, 0);
  const Wish wish{settings.min_free.of(total), settings.reclaim_below.of(total), settings.reclaim_to.of(total)};
  const auto bytes = gate ? line_for(wish, total) : warning_line(kGiB, total);
  const auto inodes = gate ? line_for({settings.min_free_inodes, 0, 0}, total_inodes)
                           : warning_line(settings.min_free_inodes, total_inodes);
  return {bytes.critical, bytes.low, bytes.target, inodes.critical, inodes.low, inodes.target};
}

}  // namespace buildwarden::policy
