#include <algorithm>
#include <iterator>
#include <optional>
#include <tuple>
#include <utility>

#include "common/format.h"
#include "daemon/policy/eviction_order.h"
#include "daemon/policy/worth.h"

namespace buildwarden::policy {
namespace {

// A prune can only be told an age: the one that spares what is too young, in grace, or used since the oldest job start.
Duration age_for(const EvictionRules& rules, Now now) {
  auto age = std::max({rules.age, rules.grace, Duration{0}});
  // One more than the job's age: what was used in the very millisecond of its start stays.
  if (rules.oldest_job_start) age = std::max(age, now.wall - *rules.oldest_job_start + Duration{1});
  return age;
}

bool may_go(const CacheEntry& entry, Duration age, Now now) {
  return !entry.held && std::max(now.wall - entry.used, Duration{0}) >= age;
}

constexpr Bytes kLeastStep = kMiB;  // a step of less waits for more, whatever that is worth
constexpr double kFarMore = 10;

// The age that holds back what a cache has, which is the grace while it is over its share.
class Ages {
 public:
  Ages(const CacheBounds& bounds, const EvictionRules& rules, Now now)
      : share_(bounds.share), of_all_(age_for(rules, now)), now_(now) {
    auto spared = rules;
    spared.age = rules.grace;
    over_share_ = age_for(spared, now);
  }
  [[nodiscard]] Duration of_all() const { return of_all_; }
  // With so many bytes left; nothing for what no age lets go.
  [[nodiscard]] std::optional<Duration> that_counts(const CacheEntry& entry, Bytes left) const {
    if (may_go(entry, of_all_, now_)) return of_all_;
    if (share_ && left > *share_ && may_go(entry, over_share_, now_)) return over_share_;
    return std::nullopt;
  }

 private:
  std::optional<Bytes> share_;
  Duration of_all_{0};
  Duration over_share_{0};
  Now now_;
};

// A prune has one age for all its records, and takes all of them or as many as are needed, but none of them alone.
bool begins_anew(const CacheStep& step, const CacheEntry& entry, Duration age) {
  if (step.ids.empty()) return false;
  if (age != step.unused_for) return true;
  if (entry.place == nullptr || step.places.empty() || step.frees < kLeastStep) return false;
  return entry.place->unit != step.places.back()->unit && entry.place->worth > step.places.front()->worth * kFarMore;
}

void add(CacheStep& step, const CacheEntry& entry, Duration age, bool is_over_share) {
  step.unused_for = age;
  step.is_over_share = is_over_share;
  step.ids.push_back(entry.record->id);
  step.frees += entry.record->size;
  step.newest = std::max(step.newest, entry.used);
  if (entry.place != nullptr) step.places.push_back(entry.place);
}

Bytes own_bytes(const CacheRecord& record) { return record.shared ? 0 : record.size; }

// The records with their parents, and what each one learns from its descendants.
class Tree {
 public:
  explicit Tree(std::vector<const CacheRecord*> records);
  [[nodiscard]] CacheOrder order() &&;

 private:
  struct Node {
    CacheEntry entry;
    bool led = false;          // its use is a descendant's
    std::size_t height = 0;    // above the farthest leaf
    std::size_t children = 0;  // that have not told it yet
    std::vector<std::size_t> parents;
  };
  void find_parents();
  void ask_descendants();
  void tell(const Node& child, Node& parent) const;

  std::vector<Node> nodes_;  // by id
};

Tree::Tree(std::vector<const CacheRecord*> records) : nodes_(records.size()) {
  std::sort(records.begin(), records.end(),
            [](const CacheRecord* one, const CacheRecord* other) { return one->id < other->id; });
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto& record = *records[i];
    nodes_[i].entry = {&record, record.last_used, i, record.in_use || record.shared, nullptr};
  }
  find_parents();
  ask_descendants();
}

void Tree::find_parents() {
  const auto is_before = [](const Node& node, const std::string& id) { return node.entry.record->id < id; };
  for (auto& node : nodes_) {
    for (const auto& id : node.entry.record->parents) {
      const auto parent = std::lower_bound(nodes_.begin(), nodes_.end(), id, is_before);
      if (parent == nodes_.end() || parent->entry.record->id != id) continue;
      node.parents.push_back(static_cast<std::size_t>(parent - nodes_.begin()));
      ++parent->children;
    }
  }
}

// From the leaves upwards. What is never reached descends from itself, and nothing is known of it.
void Tree::ask_descendants() {
  std::vector<std::size_t> ready;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].children == 0) ready.push_back(i);
  }
  for (std::size_t at = 0; at < ready.size(); ++at) {
    const auto& node = nodes_[ready[at]];
    for (const auto parent : node.parents) {
      tell(node, nodes_[parent]);
      if (--nodes_[parent].children == 0) ready.push_back(parent);
    }
  }
  for (auto& node : nodes_) node.entry.held = node.entry.held || node.children > 0;
}

// Of equal uses a descendant's counts, so that the two go together.
void Tree::tell(const Node& child, Node& parent) const {
  parent.entry.held = parent.entry.held || child.entry.held;
  parent.height = std::max(parent.height, child.height + 1);
  const auto theirs = std::make_tuple(child.entry.used, true, child.entry.unit);
  if (theirs <= std::make_tuple(parent.entry.used, parent.led, parent.entry.unit)) return;
  parent.entry.used = child.entry.used;
  parent.entry.unit = child.entry.unit;
  parent.led = true;
}

CacheOrder Tree::order() && {
  std::sort(nodes_.begin(), nodes_.end(), [](const Node& one, const Node& other) {
    return std::tie(one.entry.used, one.entry.unit, one.height, one.entry.record->id) <
           std::tie(other.entry.used, other.entry.unit, other.height, other.entry.record->id);
  });
  CacheOrder order;
  order.reserve(nodes_.size());
  for (const auto& node : nodes_) order.push_back(node.entry);
  return order;
}

}  // namespace

CacheList::CacheList(std::vector<CacheRecord> records) : records_(std::move(records)) {
  std::vector<const CacheRecord*> all;
  all.reserve(records_.size());
  for (const auto& record : records_) all.push_back(&record);
  order_ = Tree(std::move(all)).order();
}

void CacheList::rank_by_value(std::vector<Thing> things, WallTime now) {
  things_ = std::move(things);
  places_ = order_by_value(things_, now);
  ranked_at_ = now;
  std::vector<const CacheEntry*> by_record(records_.size());
  for (const auto& entry : order_) by_record[static_cast<std::size_t>(entry.record - records_.data())] = &entry;
  CacheOrder order;
  order.reserve(places_.size());
  for (const auto& place : places_) {
    order.push_back(*by_record[place.thing]);
    order.back().unit = place.unit;
    order.back().place = &place;
  }
  order_ = std::move(order);
}

std::optional<Valuation> CacheList::value_of(const CacheStep& step) const {
  if (step.places.empty()) return std::nullopt;
  Valuation value;
  const Place* dearest = step.places.front();
  bool all_superseded = true;
  for (const auto* place : step.places) {
    const auto& thing = things_[place->thing];
    value.worth = std::max(value.worth, place->worth);
    value.seconds += thing.is_sent_anyway ? 0 : thing.cost.seconds;
    value.is_estimated = value.is_estimated || (thing.cost.is_estimated && !thing.is_sent_anyway);
    value.uses = std::max(value.uses, thing.use.uses);
    all_superseded = all_superseded && !thing.superseded_by.empty();
    if (thing.cost.seconds > things_[dearest->thing].cost.seconds) dearest = place;
  }
  const auto& thing = things_[dearest->thing];
  value.place = static_cast<std::size_t>(step.places.front() - places_.data());
  if (all_superseded) value.superseded_by = thing.superseded_by;
  value.why = step.places.size() == 1 ? why(thing, *dearest, ranked_at_)
                                      : format("most of it \"{}\", {}", thing.name, why(thing, *dearest, ranked_at_));
  return value;
}

Bytes cache_bytes(const std::vector<CacheRecord>& records) {
  Bytes bytes = 0;
  for (const auto& record : records) bytes += own_bytes(record);
  return bytes;
}

Bytes cache_bytes(const CacheOrder& records) {
  Bytes bytes = 0;
  for (const auto& entry : records) bytes += own_bytes(*entry.record);
  return bytes;
}

std::vector<CacheStep> cache_steps(const CacheOrder& records, const CacheBounds& bounds, const EvictionRules& rules,
                                   Now now) {
  if (rules.oldest_job_start && *rules.oldest_job_start > now.wall) return {};
  const Ages ages(bounds, rules, now);
  Bytes left = cache_bytes(records);
  std::vector<CacheStep> steps;
  CacheStep step;
  for (auto entry = records.begin(); entry != records.end(); ++entry) {
    if (left <= std::max<Bytes>(bounds.floor, 0)) break;
    const auto age = ages.that_counts(*entry, left);
    if (!age) continue;
    if (begins_anew(step, *entry, *age)) steps.push_back(std::exchange(step, CacheStep{}));
    left -= entry->record->size;
    add(step, *entry, *age, *age < ages.of_all());
    const auto next = std::next(entry);
    const bool goes_on = next != records.end() && next->unit == entry->unit;
    if (goes_on || step.frees < std::max<Bytes>(bounds.chunk, 1)) continue;
    steps.push_back(std::exchange(step, CacheStep{}));
  }
  if (step.frees > 0) steps.push_back(std::move(step));
  return steps;
}

CacheOrder without(const CacheOrder& records, const std::set<std::string>& ids) {
  if (!records.empty() && records.front().place != nullptr) {
    CacheOrder rest;
    std::copy_if(records.begin(), records.end(), std::back_inserter(rest),
                 [&ids](const CacheEntry& entry) { return !ids.contains(entry.record->id); });
    return rest;
  }
  std::vector<const CacheRecord*> left;
  left.reserve(records.size());
  for (const auto& entry : records) {
    if (!ids.contains(entry.record->id)) left.push_back(entry.record);
  }
  return Tree(std::move(left)).order();
}

std::set<std::string> those_left(const std::vector<CacheRecord>& records, const std::set<std::string>& ids) {
  std::set<std::string> left;
  for (const auto& record : records) {
    if (ids.contains(record.id)) left.insert(record.id);
  }
  return left;
}

bool is_cache_id(std::string_view id) {
  return !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

Result<std::vector<std::vector<std::string>>> cache_id_batches(const std::vector<std::string>& ids, std::size_t most) {
  std::vector<std::vector<std::string>> batches;
  for (const auto& id : ids) {
    if (!is_cache_id(id)) return Error(Errc::kInvalid, format("\"{}\" is no id of a cache record", id));
    if (batches.empty() || batches.back().size() >= most) batches.emplace_back();
    batches.back().push_back(id);
  }
  return batches;
}

}  // namespace buildwarden::policy
