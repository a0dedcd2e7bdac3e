#include "daemon/policy/worth.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <queue>
#include <ratio>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "common/fnv1a.h"
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

// Of the text and its end, for which a byte stands that no text has.
std::uint64_t hash(std::string_view text, std::uint64_t from) { return fnv1a("\xff", fnv1a(text, from)); }

SlotId slot_of(SlotId below, std::string_view one, std::string_view other) {
  const auto made = hash(other, hash(one, kFnv1aStart ^ below));
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

constexpr std::size_t kNobody = std::numeric_limits<std::size_t>::max();

// What goes together: a record, and of what is built on it that which is worth more.
struct Piece {
  double saves = 0;  // seconds of waiting by the hour
  double bytes = 0;
  double seconds = 0;
  double most_used = 0;  // uses by the hour
  std::size_t things = 1;
  bool is_estimated = false;

  // Seconds by the hour and GiB. Of what gives nothing back a byte counts, so that it goes late.
  [[nodiscard]] double worth() const { return saves / std::max(bytes, 1.0) * static_cast<double>(kGiB); }
  void take(const Piece& other) {
    saves += other.saves;
    bytes += other.bytes;
    seconds += other.seconds;
    most_used = std::max(most_used, other.most_used);
    things += other.things;
    is_estimated = is_estimated || other.is_estimated;
  }
};

struct Node {
  std::vector<std::size_t> parents;  // indexes, in the order of the thing's
  std::size_t children = 0;
  Piece piece;
  std::size_t taken_by = kNobody;  // the record whose piece this one's is part of
  std::size_t before = kNobody;    // the dearest of the pieces that must go before: a heap's top
  std::size_t left = kNobody;      // as a member of such a heap
  std::size_t right = kNobody;
  std::size_t depth = 1;  // of the heap below it, by its right side
};

struct IdHash {
  std::size_t operator()(const std::tuple<ThingKind, std::string_view, std::string_view>& key) const {
    const auto text = std::hash<std::string_view>{};
    return (text(std::get<1>(key)) * 31 + text(std::get<2>(key))) * 31 + static_cast<std::size_t>(std::get<0>(key));
  }
};

// Things and what they are built on.
class Forest {
 public:
  Forest(const std::vector<Thing>& things, WallTime now);
  WorthOrder by_value() &&;
  WorthOrder by_last_use() &&;

 private:
  // By what a thing stands: its key, then those of one unit together, then what is worth less within it.
  struct Standing {
    double key = 0;
    std::size_t unit = 0;
    double within = 0;
  };
  void find_parents();
  void find_order();
  void weigh(WallTime now);
  void cut();
  void put_before(std::size_t record, std::size_t piece);
  std::size_t merge(std::size_t one, std::size_t other);
  WorthOrder line_up(std::vector<Standing> standings, const std::vector<Piece>& pieces) const;

  const std::vector<Thing>& things_;
  std::vector<Node> nodes_;
  std::vector<std::size_t> upwards_;  // each after all that are built on it; without rings
};

Forest::Forest(const std::vector<Thing>& things, WallTime now) : things_(things), nodes_(things.size()) {
  find_parents();
  find_order();
  weigh(now);
}

void Forest::find_parents() {
  std::unordered_map<std::tuple<ThingKind, std::string_view, std::string_view>, std::size_t, IdHash> ids;
  ids.reserve(things_.size());
  for (std::size_t i = 0; i < things_.size(); ++i)
    ids.try_emplace({things_[i].kind, things_[i].builder, things_[i].id}, i);
  for (std::size_t i = 0; i < things_.size(); ++i) {
    for (const auto& id : things_[i].parents) {
      const auto parent = ids.find({things_[i].kind, things_[i].builder, id});
      if (parent == ids.end()) continue;
      nodes_[i].parents.push_back(parent->second);
      ++nodes_[parent->second].children;
    }
  }
}

void Forest::find_order() {
  std::vector<std::size_t> left(nodes_.size());
  upwards_.reserve(nodes_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    left[i] = nodes_[i].children;
    if (left[i] == 0) upwards_.push_back(i);
  }
  for (std::size_t at = 0; at < upwards_.size(); ++at) {
    for (const auto parent : nodes_[upwards_[at]].parents) {
      if (--left[parent] == 0) upwards_.push_back(parent);
    }
  }
}

void Forest::weigh(WallTime now) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) nodes_[i].piece.most_used = expected_uses_per_hour(things_[i], now);
  for (const auto at : upwards_) {
    for (const auto parent : nodes_[at].parents) {
      auto& rate = nodes_[parent].piece.most_used;
      rate = std::max(rate, nodes_[at].piece.most_used);
    }
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    auto& piece = nodes_[i].piece;
    piece.seconds = things_[i].is_sent_anyway ? 0 : std::max(things_[i].cost.seconds, 0.0);
    piece.saves = piece.most_used * piece.seconds;
    piece.bytes = static_cast<double>(std::max<Bytes>(things_[i].bytes, 0));
    piece.is_estimated = things_[i].cost.is_estimated;
  }
}

// A leftist heap (Crane 1972), the dearest piece on top: two of them are one in O(log n).
std::size_t Forest::merge(std::size_t one, std::size_t other) {
  if (one == kNobody || other == kNobody) return one == kNobody ? other : one;
  if (nodes_[one].piece.worth() < nodes_[other].piece.worth()) std::swap(one, other);
  auto& top = nodes_[one];
  top.right = merge(top.right, other);
  const auto depth = [this](std::size_t at) { return at == kNobody ? 0 : nodes_[at].depth; };
  if (depth(top.left) < depth(top.right)) std::swap(top.left, top.right);
  top.depth = depth(top.right) + 1;
  return one;
}

void Forest::put_before(std::size_t record, std::size_t piece) {
  nodes_[record].before = merge(nodes_[record].before, piece);
}

// Horn's rule: what must go before and is worth more goes together with it.
void Forest::cut() {
  for (const auto at : upwards_) {
    auto& node = nodes_[at];
    while (node.before != kNobody && nodes_[node.before].piece.worth() >= node.piece.worth()) {
      auto& dearest = nodes_[node.before];
      node.piece.take(dearest.piece);
      dearest.taken_by = at;
      node.before = merge(merge(dearest.left, dearest.right), dearest.before);
    }
    if (!node.parents.empty()) put_before(node.parents.front(), at);
  }
}

WorthOrder Forest::line_up(std::vector<Standing> standings, const std::vector<Piece>& pieces) const {
  using Entry = std::tuple<double, std::size_t, double, std::size_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
  const auto add = [&](std::size_t at) {
    ready.emplace(standings[at].key, standings[at].unit, standings[at].within, at);
  };
  std::vector<std::size_t> left(nodes_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    left[i] = nodes_[i].children;
    if (left[i] == 0) add(i);
  }
  WorthOrder order;
  order.reserve(nodes_.size());
  const auto place = [&](std::size_t at) {
    const auto& piece = pieces[standings[at].unit];
    order.push_back({at, piece.worth(), piece.seconds, piece.is_estimated, static_cast<Bytes>(piece.bytes),
                     piece.most_used, piece.things - 1, standings[at].unit});
  };
  while (!ready.empty()) {
    const auto [key, unit, within, at] = ready.top();
    ready.pop();
    place(at);
    for (const auto parent : nodes_[at].parents) {
      standings[parent].key = std::max(standings[parent].key, key);
      if (--left[parent] == 0) add(parent);
    }
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (left[i] > 0) place(i);
  }
  return order;
}

WorthOrder Forest::by_value() && {
  cut();
  std::vector<Piece> pieces(nodes_.size());
  std::vector<Standing> standings(nodes_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    pieces[i] = nodes_[i].piece;
    standings[i] = {pieces[i].worth(), i, pieces[i].worth()};
  }
  for (auto at = upwards_.rbegin(); at != upwards_.rend(); ++at) {
    if (nodes_[*at].taken_by == kNobody) continue;
    const auto& whole = standings[nodes_[*at].taken_by];
    standings[*at].unit = whole.unit;
    standings[*at].key = whole.key;
  }
  return line_up(std::move(standings), pieces);
}

WorthOrder Forest::by_last_use() && {
  std::vector<Piece> pieces(nodes_.size());
  std::vector<Standing> standings(nodes_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    pieces[i] = nodes_[i].piece;
    standings[i] = {static_cast<double>(things_[i].use.last_use.time_since_epoch().count()), i, 0};
  }
  for (const auto at : upwards_) {
    for (const auto parent : nodes_[at].parents)
      standings[parent].key = std::max(standings[parent].key, standings[at].key);
  }
  return line_up(std::move(standings), pieces);
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

WorthOrder order_by_value(const std::vector<Thing>& things, WallTime now) { return Forest(things, now).by_value(); }

WorthOrder order_by_last_use(const std::vector<Thing>& things, WallTime now) {
  return Forest(things, now).by_last_use();
}

}  // namespace buildwarden::policy
