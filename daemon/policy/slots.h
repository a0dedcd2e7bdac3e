// What is learned of the slots of a build cache, and of what comes from registries: how often each is needed, and what
// it costs. Pure. (What a slot is: worth.h.)
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/time.h"
#include "daemon/policy/build_steps.h"
#include "daemon/policy/cache_uses.h"
#include "daemon/policy/eviction_order.h"
#include "daemon/policy/worth.h"

namespace buildwarden::policy {

struct Slot {
  SlotHistory history;
  std::optional<double> seconds;  // that its step took, as seen; several times: the later ones count more
};
using Slots = std::unordered_map<SlotId, Slot>;

// The slot of each record, in the records' order; 0 where it has no description. `builder` as in Thing.
std::vector<SlotId> slots_of(const std::vector<CacheRecord>& records, std::string_view builder);

struct SlotsLearned {
  Slots slots;
  std::vector<SlotId> changed;    // of `slots`: to be kept
  std::vector<SlotId> forgotten;  // were known, and are gone for kSlotKept or had to make way for kMostSlots others
  // What the look adds to the accounts of what was saved and regretted; null: nobody asked for it.
  std::shared_ptr<const CacheAccount> account{};
};
// Of one cache at most so many are remembered, those that were used last; a row of each is kept on disk.
inline constexpr std::size_t kMostSlots = 20'000;
// What was gone for so long is forgotten: it may come back until then, as the same line of the same Dockerfile.
inline constexpr Duration kSlotKept = std::chrono::hours{24};

// A cache was listed at `now`: what was made and used since the last look is noted, and what the steps took. What the
// builder's clock says is later than `now` counts as now.
SlotsLearned learn_slots(Slots known, const std::vector<CacheRecord>& records, std::string_view builder,
                         const std::vector<BuildStep>& steps, WallTime now);

// How fast bytes come back from registries, by their host ("docker.io"); unpacked bytes a second, unpacking included.
class PullRates {
 public:
  static constexpr double kUnknown = 50.0 * kMiB;  // until a pull was seen
  static constexpr std::size_t kMostHosts = 64;

  // A pull of so many bytes from `host` took so long. What is too small or too short to tell a rate is passed over:
  // false. The host that was seen longest ago makes way for one more than kMostHosts.
  bool note(std::string_view host, Bytes bytes, double seconds, WallTime at);
  // As it was kept.
  void restore(std::string host, double bytes_per_second, WallTime at);
  // Of the host, or else of all hosts together, or kUnknown.
  [[nodiscard]] double of(std::string_view host) const;
  struct Rate {
    double bytes_per_second = 0;
    WallTime at;  // the last pull
  };
  [[nodiscard]] const std::map<std::string, Rate, std::less<>>& all() const { return rates_; }

 private:
  std::map<std::string, Rate, std::less<>> rates_;
};

// "docker.io/library/node:18" and "node:18" come from "docker.io", "registry:5000/web@sha256:…" from "registry:5000".
std::string registry_host(std::string_view reference);
// Without tag and digest, as the engine shows it: "node", "registry:5000/web".
std::string repository_of(std::string_view reference);

}  // namespace buildwarden::policy
