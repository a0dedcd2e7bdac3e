// The order in which things go: trees of records, cut into the pieces that lose least.
#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <queue>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "daemon/policy/worth.h"

namespace buildwarden::policy {
namespace {

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

WorthOrder order_by_value(const std::vector<Thing>& things, WallTime now) { return Forest(things, now).by_value(); }

WorthOrder order_by_last_use(const std::vector<Thing>& things, WallTime now) {
  return Forest(things, now).by_last_use();
}

}  // namespace buildwarden::policy
