// What a deletion gave back, by readings before and after it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/units.h"

namespace buildwarden::policy {

// What one filesystem had free at one moment.
struct FreeReading {
  std::string filesystem;  // which it is, not where: another one at the same place has another name
  std::string mount;       // for people
  Bytes bytes = 0;
  std::int64_t inodes = 0;
};

// Never negative, and never the difference of two filesystems. Where less is free afterwards, others wrote meanwhile:
// that is told apart and is no part of what was freed.
class FreedSpace {
 public:
  // Nothing was deleted: 0, and that is known.
  FreedSpace() = default;
  static FreedSpace unknown(std::string why);
  // Both of the same filesystems; unknown when one of those before is not among those after.
  static FreedSpace between(const std::vector<FreeReading>& before, const std::vector<FreeReading>& after);

  [[nodiscard]] bool is_known() const { return why_unknown_.empty(); }
  [[nodiscard]] const std::string& why_unknown() const { return why_unknown_; }
  // At least so much; exactly what the readings show when it is known. 0 or more.
  [[nodiscard]] Bytes bytes() const { return bytes_; }
  [[nodiscard]] std::int64_t inodes() const { return inodes_; }
  // By how much less is free than before: others took so much and what was freed besides. 0 or more.
  [[nodiscard]] Bytes taken_bytes() const { return taken_bytes_; }
  [[nodiscard]] std::int64_t taken_inodes() const { return taken_inodes_; }

  [[nodiscard]] bool is_gain() const { return bytes_ > 0 || inodes_ > 0; }
  [[nodiscard]] bool is_more_than(const FreedSpace& other) const {
    return bytes_ > other.bytes_ || inodes_ > other.inodes_;
  }
  // One deletion after another: unknown when one of them is.
  FreedSpace& operator+=(const FreedSpace& other);

 private:
  std::string why_unknown_;
  Bytes bytes_ = 0;
  std::int64_t inodes_ = 0;
  Bytes taken_bytes_ = 0;
  std::int64_t taken_inodes_ = 0;
};

// "freed 5.00 GiB and 3 inodes"; "freed 0 B and 0 inodes (others took 12.0 GiB meanwhile)"; "freed nobody knows how
// much (why)".
std::string to_text(const FreedSpace& freed);

}  // namespace buildwarden::policy
