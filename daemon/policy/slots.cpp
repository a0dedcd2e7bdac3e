#include "daemon/policy/slots.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "daemon/policy/image_names.h"

namespace buildwarden::policy {
namespace {

constexpr double kOfTheLatest = 0.5;    // of several measurements
constexpr Duration kSameUse{1'000};     // a record's creation is stamped as its first use a moment later
constexpr Bytes kLeastPulled = kMiB;    // below, the pull is all questions and no bytes
constexpr double kShortestPull = 0.05;  // seconds
constexpr std::string_view kHubHost = "docker.io";

double mean(std::optional<double> before, double latest) {
  return before ? *before + (latest - *before) * kOfTheLatest : latest;
}

// By id, for looking parents up.
class ById {
 public:
  explicit ById(const std::vector<CacheRecord>& records) {
    order_.reserve(records.size());
    for (std::size_t i = 0; i < records.size(); ++i) order_.emplace_back(records[i].id, i);
    std::sort(order_.begin(), order_.end());
  }
  [[nodiscard]] std::optional<std::size_t> find(std::string_view id) const {
    const auto at = std::lower_bound(order_.begin(), order_.end(), std::pair(id, std::size_t{0}));
    if (at == order_.end() || at->first != id) return std::nullopt;
    return at->second;
  }

 private:
  std::vector<std::pair<std::string_view, std::size_t>> order_;
};

struct Seen {
  SlotId slot = 0;
  WallTime at;
  bool unchanged = false;  // it was there before
};

// What happened to the slots since the last look, in the order of time.
std::vector<Seen> seen_since(const Slots& known, const std::vector<CacheRecord>& records,
                             const std::vector<SlotId>& slots) {
  std::vector<Seen> seen;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (slots[i] == 0) continue;
    const auto before = known.find(slots[i]);
    const auto is_news = [&](WallTime at) { return before == known.end() || at > before->second.history.use.last_use; };
    const auto& record = records[i];
    if (record.created != WallTime{} && is_news(record.created)) seen.push_back({slots[i], record.created, false});
    const bool was_used = record.last_used > record.created + kSameUse;
    if (was_used && is_news(record.last_used)) seen.push_back({slots[i], record.last_used, true});
  }
  std::sort(seen.begin(), seen.end(), [](const Seen& one, const Seen& other) {
    return std::tie(one.at, one.slot, one.unchanged) < std::tie(other.at, other.slot, other.unchanged);
  });
  return seen;
}

// Those that are gone for too long, and of too many the ones that were used longest ago.
std::vector<SlotId> past_keeping(const Slots& slots, std::vector<SlotId> there, WallTime now) {
  std::sort(there.begin(), there.end());
  std::vector<SlotId> past;
  std::vector<std::pair<WallTime, SlotId>> kept;
  for (const auto& [id, slot] : slots) {
    const auto last_use = slot.history.use.last_use;
    const bool is_there = std::binary_search(there.begin(), there.end(), id);
    if (!is_there && now - last_use > kSlotKept) {
      past.push_back(id);
    } else {
      kept.emplace_back(last_use, id);
    }
  }
  if (kept.size() <= kMostSlots) return past;
  std::sort(kept.begin(), kept.end());
  kept.resize(kept.size() - kMostSlots);
  for (const auto& [last_use, id] : kept) past.push_back(id);
  return past;
}

}  // namespace

// From the base upwards: each record's first parent before itself. Those in a ring are taken for bases.
std::vector<SlotId> slots_of(const std::vector<CacheRecord>& records, std::string_view builder) {
  const ById by_id(records);
  std::vector<SlotId> slots(records.size(), 0);
  std::vector<bool> known(records.size(), false);
  std::vector<std::size_t> chain;
  for (std::size_t i = 0; i < records.size(); ++i) {
    chain.clear();
    std::optional<std::size_t> at = i;
    while (at && !known[*at] && chain.size() <= records.size()) {
      known[*at] = true;
      chain.push_back(*at);
      const auto& parents = records[*at].parents;
      at = parents.empty() ? std::nullopt : by_id.find(parents.front());
    }
    auto below = at ? slots[*at] : SlotId{0};
    for (auto record = chain.rbegin(); record != chain.rend(); ++record) {
      const auto text = text_of_record(records[*record].description);
      if (!text.empty()) below = cache_slot(below, builder, text);
      slots[*record] = text.empty() ? 0 : below;
    }
  }
  return slots;
}

SlotsLearned learn_slots(Slots known, const std::vector<CacheRecord>& records, std::string_view builder,
                         const std::vector<BuildStep>& steps, WallTime now) {
  const auto slots = slots_of(records, builder);
  const auto seen = seen_since(known, records, slots);
  const auto seconds = seconds_of_records(records, steps);
  SlotsLearned learned;
  learned.slots = std::move(known);
  std::unordered_set<SlotId> added;
  const auto change = [&learned, &added](SlotId id) -> Slot& {
    learned.changed.push_back(id);
    const auto [slot, is_new] = learned.slots.try_emplace(id);
    if (is_new) added.insert(id);
    return slot->second;
  };
  for (const auto& use : seen) note_slot_use(change(use.slot).history, std::min(use.at, now), use.unchanged);
  for (const auto& [record, took] : seconds) {
    if (slots[record] == 0) continue;
    auto& slot = change(slots[record]);
    slot.seconds = mean(slot.seconds, took);
  }
  learned.forgotten = past_keeping(learned.slots, slots, now);
  for (const auto id : learned.forgotten) learned.slots.erase(id);
  std::erase_if(learned.forgotten, [&added](SlotId id) { return added.contains(id); });
  std::sort(learned.changed.begin(), learned.changed.end());
  learned.changed.erase(std::unique(learned.changed.begin(), learned.changed.end()), learned.changed.end());
  std::erase_if(learned.changed, [&learned](SlotId id) { return !learned.slots.contains(id); });
  return learned;
}

bool PullRates::note(std::string_view host, Bytes bytes, double seconds, WallTime at) {
  if (bytes < kLeastPulled || seconds < kShortestPull) return false;
  const auto found = rates_.find(host);
  const auto before = found == rates_.end() ? std::nullopt : std::optional(found->second.bytes_per_second);
  restore(std::string(host), mean(before, static_cast<double>(bytes) / seconds), at);
  return true;
}

void PullRates::restore(std::string host, double bytes_per_second, WallTime at) {
  rates_[std::move(host)] = Rate{bytes_per_second, at};
  if (rates_.size() <= kMostHosts) return;
  rates_.erase(std::min_element(rates_.begin(), rates_.end(),
                                [](const auto& one, const auto& other) { return one.second.at < other.second.at; }));
}

double PullRates::of(std::string_view host) const {
  if (rates_.empty()) return kUnknown;
  const auto found = rates_.find(host);
  if (found != rates_.end()) return found->second.bytes_per_second;
  double sum = 0;
  for (const auto& [name, rate] : rates_) sum += rate.bytes_per_second;
  return sum / static_cast<double>(rates_.size());
}

// Docker's own rule: what stands before the first slash is a host when it has a dot or a colon, or is "localhost".
std::string registry_host(std::string_view reference) {
  const auto slash = reference.find('/');
  const auto first = reference.substr(0, slash);
  const bool is_host =
      slash != std::string_view::npos && (first.find_first_of(".:") != std::string_view::npos || first == "localhost");
  return std::string(is_host && first != "index.docker.io" ? first : kHubHost);
}

std::string repository_of(std::string_view reference) {
  const auto name = normalised_reference(reference);
  const auto digest = name.find('@');
  const auto head = std::string_view(name).substr(0, digest);
  const auto slash = head.rfind('/');
  const auto colon = head.find(':', slash == std::string_view::npos ? 0 : slash);
  return std::string(head.substr(0, colon));
}

}  // namespace buildwarden::policy
