#include "daemon/policy/worth.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <queue>
#include <ratio>
#include <tuple>
#include <utility>

#include "common/format.h"

namespace buildwarden::policy {
namespace {

constexpr double kSuperseded = 0.02;  // of the rate: what a newer version took the place of is nearly always dead
constexpr double kYoungHours = 1;     // what was made a moment ago has no rate yet
constexpr double kHalf = 0.5;         // the geometric mean of own rate and slot's

double hours_since(WallTime from, WallTime now) {
  return std::max(0.0, std::chrono::duration<double, std::ratio<3600>>(now - from).count());
}

double rate_of(const UseHistory& use, WallTime now) {
  return static_cast<double>(use.uses) / (hours_since(use.first_seen, now) + kYoungHours);
}

// Expected uses an hour.
double rate_of(const Thing& thing, WallTime now) {
  if (thing.is_sent_anyway) return 0;
  auto rate = rate_of(thing.use, now);
  const auto& slot = thing.slot_history;
  if (slot.use.uses > 1) {
    const auto unchanged = static_cast<double>(slot.unchanged) / static_cast<double>(slot.use.uses);
    rate = std::pow(rate * rate_of(slot.use, now) * unchanged, kHalf);
  }
  return thing.superseded_by.empty() ? rate : rate * kSuperseded;
}

// Things, and what each is built on.
class Built {
 public:
  explicit Built(const std::vector<Thing>& things) : parents_(things.size()), children_(things.size(), 0) {
    std::map<std::tuple<ThingKind, std::string_view, std::string_view>, std::size_t> by_id;
    for (std::size_t i = 0; i < things.size(); ++i) by_id.emplace(key_of(things[i], things[i].id), i);
    for (std::size_t i = 0; i < things.size(); ++i) {
      for (const auto& id : things[i].parents) {
        const auto parent = by_id.find(key_of(things[i], id));
        if (parent == by_id.end() || parent->second == i) continue;
        parents_[i].push_back(parent->second);
        ++children_[parent->second];
      }
    }
  }

  // By the least of `keys`, each after all that are built on it, whose keys it then has at least; a ring at the end.
  [[nodiscard]] std::vector<std::pair<std::size_t, double>> by(std::vector<double> keys) const {
    using Entry = std::pair<double, std::size_t>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
    auto left = children_;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (left[i] == 0) ready.emplace(keys[i], i);
    }
    std::vector<std::pair<std::size_t, double>> order;
    while (!ready.empty()) {
      const auto [key, thing] = ready.top();
      ready.pop();
      order.emplace_back(thing, key);
      for (const auto parent : parents_[thing]) {
        keys[parent] = std::max(keys[parent], key);
        if (--left[parent] == 0) ready.emplace(keys[parent], parent);
      }
    }
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (left[i] > 0) order.emplace_back(i, keys[i]);
    }
    return order;
  }

 private:
  static std::tuple<ThingKind, std::string_view, std::string_view> key_of(const Thing& thing, std::string_view id) {
    return {thing.kind, thing.builder, id};
  }
  std::vector<std::vector<std::size_t>> parents_;
  std::vector<std::size_t> children_;
};

WorthOrder places(const std::vector<Thing>& things, const std::vector<std::pair<std::size_t, double>>& order) {
  WorthOrder result;
  result.reserve(order.size());
  for (const auto& [thing, key] : order) {
    Place place;
    place.thing = thing;
    place.worth = key;
    place.seconds = things[thing].cost.seconds;
    place.is_estimated = things[thing].cost.is_estimated;
    place.bytes = things[thing].bytes;
    place.unit = result.size();
    result.push_back(place);
  }
  return result;
}

}  // namespace

std::string_view to_string(ThingKind kind) {
  switch (kind) {
    case ThingKind::kImage: return "image";
    case ThingKind::kCache: return "cache";
    case ThingKind::kCheckout: return "checkout";
  }
  return "unknown";
}

UseHistory first_use(WallTime at) { return UseHistory{at, at, 1, Duration{0}}; }

void note_use(UseHistory& history, WallTime at, std::uint64_t times) {
  if (times == 0) return;
  const auto gap = std::max(at - history.last_use, Duration{0});
  history.gap = history.uses < 2 ? gap : (history.gap + gap) / 2;
  history.uses += times;
  history.last_use = std::max(history.last_use, at);
}

// FNV-1a, so that a slot is the same after an update of the standard library.
SlotId cache_slot(SlotId below, std::string_view builder, std::string_view description) {
  constexpr SlotId kPrime = 0x100000001b3U;
  SlotId hash = 0xcbf29ce484222325U ^ below;
  const auto mix = [&hash](unsigned char byte) { hash = (hash ^ byte) * kPrime; };
  for (const char c : builder) mix(static_cast<unsigned char>(c));
  mix(0);
  for (const char c : description) mix(static_cast<unsigned char>(c));
  return hash == 0 ? 1 : hash;
}

SlotId image_slot(std::string_view repository) { return cache_slot(0, "", repository); }

void note_slot_use(SlotHistory& history, WallTime at, bool unchanged) {
  if (history.use.uses == 0) {
    history.use = first_use(at);
  } else {
    note_use(history.use, at);
  }
  if (unchanged) ++history.unchanged;
}

WorthOrder order_by_value(const std::vector<Thing>& things, WallTime now) {
  std::vector<double> rates(things.size());
  for (std::size_t i = 0; i < things.size(); ++i) rates[i] = rate_of(things[i], now);
  std::vector<double> keys(things.size());
  for (std::size_t i = 0; i < things.size(); ++i) {
    const auto bytes = std::max(static_cast<double>(things[i].bytes), 1.0) / static_cast<double>(kGiB);
    keys[i] = rates[i] * things[i].cost.seconds / bytes;
  }
  auto order = places(things, Built(things).by(std::move(keys)));
  for (auto& place : order) place.uses_per_hour = rates[place.thing];
  return order;
}

WorthOrder order_by_last_use(const std::vector<Thing>& things) {
  std::vector<double> keys(things.size());
  for (std::size_t i = 0; i < things.size(); ++i) {
    keys[i] = static_cast<double>(things[i].use.last_use.time_since_epoch().count());
  }
  return places(things, Built(things).by(std::move(keys)));
}

std::string why(const Thing& thing, const Place& place, WallTime now) {
  const auto ago = [now](WallTime at) { return format_duration(std::max(now - at, Duration{0})); };
  if (thing.is_sent_anyway) return format("each job sends it anyway, gives back {}", format_bytes(place.bytes));
  const auto superseded =
      thing.superseded_by.empty() ? std::string() : format(", superseded by {}", thing.superseded_by);
  return format(
      "would cost {:.1f} s{}, used {} times in {}, last {} ago{}, gives back {}: saves {:.1f} s an hour for a GiB",
      place.seconds, place.is_estimated ? " (estimated)" : "", thing.use.uses, ago(thing.use.first_seen),
      ago(thing.use.last_use), superseded, format_bytes(place.bytes), place.worth);
}

}  // namespace buildwarden::policy
