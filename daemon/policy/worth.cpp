#include "daemon/policy/worth.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ratio>
#include <unordered_map>

#include "common/format.h"

namespace buildwarden::policy {
namespace {

// Seen by trying, over days of six kinds (tests/bench/README.md): around these values the result hardly changes.
constexpr double kPriorHours = 1;        // a thing that was just made counts as used once in so long
constexpr double kNeverSeenUsed = 0.5;   // uses
constexpr double kSlotPriorHours = 3;    // the same of a slot
constexpr double kPriorUses = 1;         // what nobody saw yet weighs as much as so many uses
constexpr double kPriorShare = 0.9;      // of a slot's uses that are of what is in it
constexpr double kPriorUnchanged = 0.5;  // of a slot's uses that find it as it was, before any was seen
constexpr double kSlotWeight = 0.7;      // of the slot's rate beside the thing's own; the rest is the own one's
constexpr double kSuperseded = 0.2;
constexpr double kShortest = 0.05;  // hours: of uses in the same minutes nothing is told about a rate

double hours_between(WallTime from, WallTime to) {
  return std::max(0.0, std::chrono::duration<double, std::ratio<3600>>(to - from).count());
}

double own_rate(const Thing& thing, WallTime now) {
  // What was there when the watch began was used before it.
  return std::max(static_cast<double>(thing.use.uses), kNeverSeenUsed) /
         (hours_between(thing.use.first_seen, now) + kPriorHours);
}

// The probability that a use of the slot is one of this thing.
double share_of_slot(const Thing& thing) {
  const auto& slot = thing.slot_history;
  const auto uses = static_cast<double>(slot.use.uses);
  const auto rate = uses / std::max(kShortest, hours_between(slot.use.first_seen, slot.use.last_use));
  const auto later = static_cast<double>(thing.use.uses) - 1;  // than the one that made it
  const auto of_slot = std::max(later, rate * hours_between(thing.use.first_seen, thing.use.last_use));
  const bool is_passed = slot.use.last_use > thing.use.last_use;
  const auto without = is_passed ? std::max(1.0, rate * hours_between(thing.use.last_use, slot.use.last_use)) : 0.0;
  const auto used = std::max(0.0, later) + kPriorUses * kPriorShare;
  const auto all = std::max(0.0, of_slot) + kPriorUses + without;
  const auto unchanged = std::min(0.99, (static_cast<double>(slot.unchanged) + 2 * kPriorUnchanged) / (uses + 1));
  // Bayes: it is still in use and the slot went without it by chance, or it was replaced.
  const auto by_chance = unchanged * std::pow((all - without) / all, used);
  const auto alive = by_chance / (by_chance + (is_passed ? 1 - unchanged : 0));
  return std::min(0.99, used / all) * unchanged * alive;
}

double slot_rate(const SlotHistory& slot, WallTime now) {
  return static_cast<double>(slot.use.uses) / (hours_between(slot.use.first_seen, now) + kSlotPriorHours);
}

std::uint64_t hash(std::string_view text, std::uint64_t from) {  // FNV-1a: the same everywhere, since it is kept
  for (const auto letter : text) from = (from ^ static_cast<unsigned char>(letter)) * 0x100000001B3U;
  return (from ^ 0xFFU) * 0x100000001B3U;  // ends the text
}

SlotId slot_of(SlotId below, std::string_view one, std::string_view other) {
  const auto made = hash(other, hash(one, 0xCBF29CE484222325U ^ below));
  return made == 0 ? 1 : made;
}

std::string since(WallTime at, WallTime now) {
  return format_duration(std::chrono::floor<std::chrono::seconds>(std::max(now - at, Duration{0})));
}

std::string used_how_often(const UseHistory& use, WallTime now) {
  if (use.uses == 0) return format("never used since it was seen {} ago", since(use.first_seen, now));
  const auto times = use.uses == 1 ? std::string("once") : format("{} times", use.uses);
  return format("used {} in {}, last {} ago", times, since(use.first_seen, now), since(use.last_use, now));
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

UseHistory first_use(WallTime at) { return {at, at, 1, Duration{0}}; }

void note_use(UseHistory& history, WallTime at, std::uint64_t times) {
  if (times == 0) return;
  const auto gap = std::max(at - history.last_use, Duration{0});
  history.gap = history.uses < 2 ? gap : (history.gap + gap) / 2;
  history.uses += times;
  history.last_use = std::max(history.last_use, at);
}

SlotId cache_slot(SlotId below, std::string_view builder, std::string_view description) {
  return slot_of(below, builder, description);
}

SlotId image_slot(std::string_view repository) { return slot_of(0, "image", repository); }

void note_slot_use(SlotHistory& history, WallTime at, bool unchanged) {
  if (history.use.uses == 0) {
    history.use = first_use(at);
  } else {
    note_use(history.use, at);
  }
  if (unchanged) ++history.unchanged;
}

double expected_uses_per_hour(const Thing& thing, WallTime now) {
  if (thing.is_sent_anyway) return 0;
  auto rate = own_rate(thing, now);
  if (thing.slot_history.use.uses > 0) {
    const auto by_slot = slot_rate(thing.slot_history, now) * share_of_slot(thing);
    rate = std::pow(by_slot, kSlotWeight) * std::pow(rate, 1 - kSlotWeight);
  }
  return thing.superseded_by.empty() ? rate : rate * kSuperseded;
}

void mark_superseded(std::vector<Thing>& things) {
  std::unordered_map<SlotId, std::size_t> newest;
  for (std::size_t i = 0; i < things.size(); ++i) {
    if (things[i].slot == 0) continue;
    const auto [at, is_first] = newest.try_emplace(things[i].slot, i);
    if (!is_first && things[i].use.first_seen > things[at->second].use.first_seen) at->second = i;
  }
  for (auto& thing : things) {
    if (thing.slot == 0) continue;
    const auto& last = things[newest[thing.slot]];
    const bool is_later = last.use.first_seen > thing.use.last_use;
    if (is_later) thing.superseded_by = last.kind == ThingKind::kImage ? last.name : last.id;
  }
}

std::string why(const Thing& thing, const Place& place, WallTime now) {
  if (thing.is_sent_anyway)
    return format("each job sends it whole, so keeping it saves nothing; gives back {}", format_bytes(place.bytes));
  const auto with = place.with == 0 ? std::string() : format(" with {} more that go with it", place.with);
  const auto superseded =
      thing.superseded_by.empty() ? std::string() : format(", superseded by {}", thing.superseded_by);
  return format("costs {:.1f} s to get back{}{}, {}{}, gives back {}: keeping it saves {:.3g} s an hour for each GiB",
                place.seconds, with, place.is_estimated ? " (estimated)" : "", used_how_often(thing.use, now),
                superseded, format_bytes(place.bytes), place.worth);
}

}  // namespace buildwarden::policy
