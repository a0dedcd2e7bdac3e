#include "daemon/policy/freed_space.h"

#include <algorithm>

#include "common/format.h"

namespace buildwarden::policy {
namespace {

const FreeReading* reading_of(const std::vector<FreeReading>& readings, const std::string& filesystem) {
  const auto found = std::find_if(readings.begin(), readings.end(),
                                  [&filesystem](const auto& one) { return one.filesystem == filesystem; });
  return found == readings.end() ? nullptr : &*found;
}

std::string taken_text(const FreedSpace& freed) {
  if (freed.taken_bytes() == 0 && freed.taken_inodes() == 0) return "";
  if (freed.taken_inodes() == 0) return format(" (others took {} meanwhile)", format_bytes(freed.taken_bytes()));
  return format(" (others took {} and {} inodes meanwhile)", format_bytes(freed.taken_bytes()), freed.taken_inodes());
}

}  // namespace

FreedSpace FreedSpace::unknown(std::string why) {
  FreedSpace freed;
  freed.why_unknown_ = why.empty() ? "it was not measured" : std::move(why);
  return freed;
}

FreedSpace FreedSpace::between(const std::vector<FreeReading>& before, const std::vector<FreeReading>& after) {
  if (before.empty()) return unknown("no filesystem was measured");
  FreedSpace freed;
  for (const auto& then : before) {
    const auto* now = reading_of(after, then.filesystem);
    if (now == nullptr) return unknown(format("the filesystem at {} does not answer, or is another one", then.mount));
    freed.bytes_ += std::max<Bytes>(now->bytes - then.bytes, 0);
    freed.taken_bytes_ += std::max<Bytes>(then.bytes - now->bytes, 0);
    freed.inodes_ += std::max<std::int64_t>(now->inodes - then.inodes, 0);
    freed.taken_inodes_ += std::max<std::int64_t>(then.inodes - now->inodes, 0);
  }
  return freed;
}

FreedSpace& FreedSpace::operator+=(const FreedSpace& other) {
  if (why_unknown_.empty()) why_unknown_ = other.why_unknown_;
  bytes_ += other.bytes_;
  inodes_ += other.inodes_;
  taken_bytes_ += other.taken_bytes_;
  taken_inodes_ += other.taken_inodes_;
  return *this;
}

std::string to_text(const FreedSpace& freed) {
  if (!freed.is_known() && !freed.is_gain()) return format("freed nobody knows how much ({})", freed.why_unknown());
  const auto amount = format("{} and {} inodes", format_bytes(freed.bytes()), freed.inodes());
  if (!freed.is_known()) return format("freed at least {} ({})", amount, freed.why_unknown());
  return format("freed {}{}", amount, taken_text(freed));
}

}  // namespace buildwarden::policy
