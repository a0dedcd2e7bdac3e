#include <algorithm>
#include <string_view>
#include <vector>

#include "common/format.h"
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

// One key that asks for more than there is.
struct Excess {
  std::string_view key;
  std::string asked;
};

std::vector<Excess> bytes_beyond(const DiskSettings& settings, const Wish& wish, Bytes total) {
  std::vector<Excess> beyond;
  if (total <= 0) return beyond;
  if (wish.min_free >= total) beyond.push_back({"disk.min_free", format_amount(settings.min_free)});
  if (wish.below > total) beyond.push_back({"disk.reclaim_below", format_amount(settings.reclaim_below)});
  if (wish.to > total) beyond.push_back({"disk.reclaim_to", format_amount(settings.reclaim_to)});
  return beyond;
}

std::string told(const std::vector<Excess>& beyond, std::string_view holds, std::string_view instead) {
  std::string text;
  for (const auto& [key, asked] : beyond) text += format("{}{} ({})", text.empty() ? "" : ", ", key, asked);
  if (text.empty()) return text;
  return format("{} {} more than the {} that it holds, {}", text, beyond.size() == 1 ? "asks for" : "ask for", holds,
                instead);
}

}  // namespace

Marks marks_for(const DiskSettings& settings, const Reading& reading, bool gate) {
  const auto total = std::max<Bytes>(reading.total, 0);
  const auto total_inodes = std::max<std::int64_t>(reading.total_inodes, 0);
  const Wish wish{settings.min_free.of(total), settings.reclaim_below.of(total), settings.reclaim_to.of(total)};
  if (!gate) {
    const auto bytes = warning_line(kGiB, total);
    const auto inodes = warning_line(settings.min_free_inodes, total_inodes);
    return {bytes.critical, bytes.low, bytes.target, inodes.critical, inodes.low, inodes.target, {}};
  }
  const auto beyond = bytes_beyond(settings, wish, total);
  const bool many_inodes = total_inodes > 0 && settings.min_free_inodes >= total_inodes;
  const auto bytes = line_for(beyond.empty() ? wish : Wish{total / 10, total * 15 / 100, total / 4}, total);
  const auto inodes = line_for({many_inodes ? total_inodes / 20 : settings.min_free_inodes, 0, 0}, total_inodes);
  auto mistake = told(beyond, format_bytes(total), "so 10 %, 15 % and 25 % count as critical, low and target");
  if (many_inodes) {
    mistake += mistake.empty() ? "" : "; ";
    mistake += told({{"disk.min_free_inodes", format("{}", settings.min_free_inodes)}},
                    format("{} inodes", total_inodes), "so 5 % count as critical");
  }
  return {bytes.critical, bytes.low, bytes.target, inodes.critical, inodes.low, inodes.target, std::move(mistake)};
}

}  // namespace buildwarden::policy
