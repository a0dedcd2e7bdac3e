// Bytes, durations and shares: one spelling each for configuration, reasons and people.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace buildwarden {

// Signed, so that a difference of two sizes is a number and never wraps round.
using Bytes = std::int64_t;

using Duration = std::chrono::milliseconds;

inline constexpr Bytes kKiB = 1024;
inline constexpr Bytes kMiB = 1024 * kKiB;
inline constexpr Bytes kGiB = 1024 * kMiB;

// The unit of st_blocks in struct stat (stat(2)), whatever the block size of the filesystem.
inline constexpr Bytes kStatBlock = 512;

// An amount of a whole: absolute bytes, or a share of it (0.15 for 15 %).
class Amount {
 public:
  static constexpr Amount bytes(Bytes value) { return Amount(value, 0.0, false); }
  // `of_one` in [0, 1].
  static constexpr Amount share(double of_one) { return Amount(0, of_one, true); }

  [[nodiscard]] constexpr bool is_share() const { return is_share_; }
  [[nodiscard]] constexpr Bytes absolute() const { return bytes_; }
  [[nodiscard]] constexpr double of_one() const { return of_one_; }
  // In bytes of a whole of `total` bytes (0 and below count as 0).
  [[nodiscard]] Bytes of(Bytes total) const;

  friend bool operator==(const Amount&, const Amount&) = default;

 private:
  constexpr Amount(Bytes value, double of_one, bool is_share) : bytes_(value), of_one_(of_one), is_share_(is_share) {}
  Bytes bytes_;
  double of_one_;
  bool is_share_;
};

// "5GiB", "20GB", "512MiB", "1048576" (bytes), "1.5GiB"; kInvalid with what would be right.
Result<Bytes> parse_bytes(std::string_view text);
// "90s", "4h", "7d", "1h30m", "2w", "500ms"; kInvalid with what would be right. A bare number is refused, but for 0.
Result<Duration> parse_duration(std::string_view text);
// "15%" or a size.
Result<Amount> parse_amount(std::string_view text);

// For people: "5.0 GiB", "812 MiB", "-3 KiB", "17 B".
std::string format_bytes(Bytes value);
// "1 step", "2 steps", "0 steps".
std::string counted(std::size_t count, std::string_view what);
// In the spelling of parse_duration: "1h30m", "90s" as "1m30s", "0s".
std::string format_duration(Duration value);
// The same for sentences, at most two units, the rest cut off: "1m 28s", "4h", "1s 412ms", "412 ms".
std::string short_duration(Duration value);
// In the spelling of parse_amount, exact: "15%", "5GiB", "1000B".
std::string format_amount(const Amount& value);

}  // namespace buildwarden
