// What was saved by what was there, and what was regretted, since it had been deleted: in seconds and bytes. Pure.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/time.h"
#include "common/units.h"
#include "daemon/policy/worth.h"

namespace buildwarden::policy {

// What several uses came to; never negative.
struct Amount {
  double seconds = 0;            // all of them
  double estimated_seconds = 0;  // of these, what nobody saw: by size and learned rates, or by how often a slot changes
  Bytes bytes = 0;               // that a registry or a job would have had to send
  std::uint64_t times = 0;
  Amount& operator+=(const Amount& other);
  friend bool operator==(const Amount&, const Amount&) = default;
};
// What it takes to get one thing back, once.
Amount amount_of(const Cost& cost, Bytes bytes);

enum class Account : std::uint8_t {
  kSaved,      // it was there when it was used
  kRegretted,  // it had been deleted, and was made or pulled again within kRegretWithin
};
// "saved", "regretted".
std::string_view to_string(Account account);

// Of the host ("" as pipeline) or of one pipeline.
struct AccountId {
  std::string pipeline;
  Account account = Account::kSaved;
  ThingKind kind = ThingKind::kImage;
  friend auto operator<=>(const AccountId&, const AccountId&) = default;
};

struct AccountRow {
  Amount total;
  Amount of_day;  // of the day of `last`, in UTC
  WallTime last;  // when something was noted last
};

// The sums. The host's are those of all that was noted; a pipeline's of what can be told to be its own.
class Savings {
 public:
  // Of more the one that was noted longest ago is forgotten; the host's sums keep what it had.
  static constexpr std::size_t kMostPipelines = 100;

  // A pipeline's is the host's as well. What is of an earlier day than the last counts in the total alone.
  void note(const AccountId& id, const Amount& amount, WallTime at);
  // What was kept, added to what was noted since.
  void restore(const AccountId& id, const AccountRow& row);
  // What was noted on a day that has not come yet, by a clock that was ahead, is of today.
  void bound_time(WallTime now);
  // Of `now`'s day.
  [[nodiscard]] static Amount today(const AccountRow& row, WallTime now);
  [[nodiscard]] const std::map<AccountId, AccountRow>& rows() const { return rows_; }
  // What changed, and what was forgotten, since the last call.
  struct Changes {
    std::set<AccountId> changed;
    std::vector<AccountId> forgotten;
  };
  Changes take_changes();

 private:
  void add(const AccountId& id, const Amount& amount, WallTime at);
  void bound_pipelines();
  std::map<AccountId, AccountRow> rows_;
  Changes changes_;
};

// Made or pulled again later than that, it is no mistake to have deleted it.
inline constexpr Duration kRegretWithin = std::chrono::hours{24};

// What was deleted to make room, until it is made again or kRegretWithin is over. Keys are image_key() and cache_key().
class Deleted {
 public:
  static constexpr std::size_t kMost = 10'000;  // of more the oldest is forgotten
  struct Entry {
    Amount amount;  // to get it back
    WallTime at;
  };
  void note(const std::string& key, const Amount& amount, WallTime at);
  // It was made again at that time: what that cost, nothing where it was not deleted before, or too long before. It
  // costs that once.
  std::optional<Amount> made_again(const std::string& key, WallTime at);
  // The keys of those that went too long ago for regret, and of those that made way for others; they are gone.
  std::vector<std::string> forget(WallTime now);
  // Of one builder's cache, when each went.
  [[nodiscard]] std::map<SlotId, WallTime> slots_of(const std::string& builder) const;
  [[nodiscard]] const std::map<std::string, Entry>& all() const { return entries_; }

 private:
  void erase(std::map<std::string, Entry>::iterator entry);
  std::map<std::string, Entry> entries_;
  std::set<std::pair<WallTime, std::string>> by_time_;
  std::vector<std::string> made_way_;
};
std::string image_key(std::string_view id);
// `builder` as in Thing: it has no blanks.
std::string cache_key(std::string_view builder, SlotId slot);

}  // namespace buildwarden::policy
