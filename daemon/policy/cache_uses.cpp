#include "daemon/policy/cache_uses.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>

#include "daemon/policy/build_steps.h"

namespace buildwarden::policy {
namespace {

constexpr std::string_view kPulledFrom = "pulled from ";
constexpr std::string_view kExecOf = "mount / from exec ";
constexpr double kOneUnseenUse = 1;       // weighs as much as one that was seen
constexpr double kUnseenUnchanged = 0.5;  // the probability that it found what was there

using Places = std::unordered_map<std::string_view, std::size_t>;

Places places_of(const std::vector<CacheRecord>& records) {
  Places places;
  places.reserve(records.size());
  for (std::size_t i = 0; i < records.size(); ++i) places.emplace(records[i].id, i);
  return places;
}

// What a registry or a job would have had to send for it.
Bytes sent_bytes(const CacheRecord& record) {
  const bool is_sent = record.type == "source.local" || record.type == "source.git" || record.type == "source.http" ||
                       record.description.starts_with(kPulledFrom);
  return is_sent ? record.size : 0;
}

std::uint64_t uses_since(const CacheSight& sight, const CacheRecord& record) {
  const auto seen = sight.find(record.id);
  const bool counts = seen != sight.end() && !seen->second.in_use && record.uses > seen->second.uses;
  return counts ? record.uses - seen->second.uses : 0;
}

struct Used {
  std::uint64_t times = 0;
  WallTime at;  // the last
};

// Of each record, with the uses of those that are built on it: descendants come first in the list's order.
std::vector<Used> used_since(const CacheList& list, const CacheSight& sight) {
  const auto& records = list.records();
  const auto places = places_of(records);
  std::vector<Used> used(records.size());
  for (const auto& entry : list.order()) {
    const auto i = static_cast<std::size_t>(entry.record - records.data());
    const auto own = uses_since(sight, records[i]);
    if (own > used[i].times) used[i] = {own, records[i].last_used};
    if (used[i].times == 0) continue;
    for (const auto& parent : records[i].parents) {
      const auto place = places.find(parent);
      if (place == places.end() || place->second == i) continue;
      auto& below = used[place->second];
      if (used[i].times > below.times) below = used[i];
    }
  }
  return used;
}

// What the descriptions say is all that it is made of.
bool is_named_exactly(const CacheRecord& record) {
  const std::string_view text = record.description;
  if (text.starts_with(kPulledFrom)) return text.find('@') != std::string_view::npos;
  return text.starts_with(kExecOf);
}

// Of each record: it and all below it are named exactly. Those in a ring are not.
std::vector<bool> named_exactly(const std::vector<CacheRecord>& records) {
  enum class State : std::uint8_t { kOpen, kUnderWay, kYes, kNo };
  const auto places = places_of(records);
  std::vector<State> states(records.size(), State::kOpen);
  std::vector<std::size_t> chain;
  for (std::size_t i = 0; i < records.size(); ++i) {
    chain.clear();
    std::optional<std::size_t> at = i;
    bool below = true;  // of a base there is nothing below
    while (at && states[*at] == State::kOpen) {
      states[*at] = State::kUnderWay;
      chain.push_back(*at);
      const auto& parents = records[*at].parents;
      const auto place = parents.size() == 1 ? places.find(parents.front()) : places.end();
      const bool is_base = parents.empty() && records[*at].description.starts_with(kPulledFrom);
      at = place == places.end() ? std::nullopt : std::optional(place->second);
      below = at.has_value() || is_base;
    }
    if (at) below = states[*at] == State::kYes;
    for (auto record = chain.rbegin(); record != chain.rend(); ++record) {
      below = below && is_named_exactly(records[*record]);
      states[*record] = below ? State::kYes : State::kNo;
    }
  }
  std::vector<bool> named(records.size());
  for (std::size_t i = 0; i < records.size(); ++i) named[i] = states[i] == State::kYes;
  return named;
}

double share_unchanged(const SlotHistory& slot) {
  const auto unchanged = static_cast<double>(slot.unchanged) + kOneUnseenUse * kUnseenUnchanged;
  return std::min(1.0, unchanged / (static_cast<double>(slot.use.uses) + kOneUnseenUse));
}

}  // namespace

CacheAccount account_for(const CacheList& list, const std::vector<Thing>& things, const CacheBefore& before) {
  const auto& records = list.records();
  CacheAccount account;
  auto sight = std::make_shared<CacheSight>();
  sight->reserve(records.size());
  for (const auto& record : records) sight->emplace(record.id, RecordSeen{record.uses, record.in_use});
  account.sight = std::move(sight);
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto deleted = before.deleted.find(things[i].slot);
    if (deleted != before.deleted.end() && records[i].created > deleted->second) {
      account.remade.emplace_back(deleted->first, records[i].created);
    }
  }
  if (!before.sight) return account;
  const auto used = used_since(list, *before.sight);
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (used[i].times == 0 || things[i].is_sent_anyway) continue;
    const auto times = static_cast<double>(used[i].times);
    auto amount = amount_of(things[i].cost, sent_bytes(records[i]) * static_cast<Bytes>(used[i].times));
    amount.seconds *= times;
    amount.estimated_seconds *= times;
    amount.times = used[i].times;
    account.saved[used[i].at] += amount;
  }
  return account;
}

std::unordered_map<std::string, LostRecord> losses_of(const std::vector<CacheRecord>& records,
                                                      const std::vector<Thing>& things) {
  const auto named = named_exactly(records);
  std::unordered_map<std::string, LostRecord> losses;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (things[i].slot == 0 || things[i].is_sent_anyway) continue;
    // Its slot has another version by now. The next one that is made there says nothing of this one.
    if (!named[i] && !things[i].superseded_by.empty()) continue;
    auto amount = amount_of(things[i].cost, sent_bytes(records[i]));
    if (!named[i]) {
      amount.seconds *= share_unchanged(things[i].slot_history);
      amount.estimated_seconds = amount.seconds;
    }
    losses.emplace(records[i].id, LostRecord{things[i].slot, amount});
  }
  return losses;
}

}  // namespace buildwarden::policy
