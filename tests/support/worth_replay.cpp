#include "tests/support/worth_replay.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <limits>
#include <numbers>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>

namespace buildwarden::testing {
namespace {

constexpr double kLow = 0.15;     // free
constexpr double kTarget = 0.25;  // free
constexpr Duration kUntil = std::chrono::hours{4};

WallTime wall(double seconds) {
  return WallTime{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}} +
         Duration{static_cast<Duration::rep>(seconds * 1000)};
}

// "registry:5000/web:7" and "registry:5000/web@sha256:…" → "registry:5000/web".
std::string_view repository(std::string_view name) {
  name = name.substr(0, name.find('@'));
  const auto slash = name.rfind('/');
  return name.substr(0, name.find(':', slash == std::string_view::npos ? 0 : slash));
}

std::vector<std::size_t> of_places(const policy::WorthOrder& places, const std::vector<std::size_t>& there) {
  std::vector<std::size_t> order;
  order.reserve(places.size());
  for (const auto& place : places) order.push_back(there[place.thing]);
  return order;
}

// A daemon that sees what jobs touch, and makes room as the reclaimer does.
class Replay {
 public:
  Replay(const Trace& trace, const ReplayOptions& options) : trace_(trace), options_(options) { read(); }

  ReplayResult run() {
    for (job_ = 0; job_ < trace_.size(); ++job_) {
      for (const auto at : touched_[job_]) touch(at);
    }
    result_.jobs = trace_.size();
    result_.decision_microseconds_p99 = p99();
    return result_;
  }

 private:
  struct Known {
    const Touch* touch = nullptr;
    policy::Thing thing;             // as the daemon sees it
    std::vector<std::size_t> below;  // what it is built on
    std::deque<std::size_t> jobs;    // that will touch it, the next one first
    std::size_t above = 0;           // that are there and built on it
    std::size_t held_by = std::numeric_limits<std::size_t>::max();
    bool is_there = false;
  };
  using Order = std::vector<std::size_t>;  // of known_

  void read();
  Known make(const Touch& touch, const std::unordered_map<std::string_view, std::size_t>& ids) const;
  void touch(std::size_t at);
  void note(Known& known);
  void evict();
  [[nodiscard]] Order order();
  [[nodiscard]] double foreseen_loss(const Known& known) const;
  [[nodiscard]] Order by_foresight(const Order& there) const;
  [[nodiscard]] Order by_foresight_of_trees(const Order& there) const;
  [[nodiscard]] Order by_plan(const Order& there);
  [[nodiscard]] bool is_past(const Known& known) const;
  void drop(Known& known);
  [[nodiscard]] bool has_free(double share) const {
    return static_cast<double>(options_.disk - used_) >= share * static_cast<double>(options_.disk);
  }
  [[nodiscard]] WallTime now() const { return wall(trace_[job_].at); }
  [[nodiscard]] double p99() const;

  const Trace& trace_;
  ReplayOptions options_;
  std::vector<Known> known_;
  std::vector<Order> touched_;                                     // by each job
  std::unordered_map<policy::SlotId, policy::SlotHistory> slots_;  // of caches: of images the daemon learns none
  std::vector<double> decisions_;                                  // microseconds
  std::size_t job_ = 0;
  Bytes used_ = 0;
  ReplayResult result_;
};

Replay::Known Replay::make(const Touch& touch, const std::unordered_map<std::string_view, std::size_t>& ids) const {
  Known known;
  known.touch = &touch;
  policy::SlotId below = 0;
  for (const auto& parent : touch.parents) {
    const auto lies_on = ids.find(parent);
    if (lies_on == ids.end()) continue;
    known.below.push_back(lies_on->second);
    if (below == 0) below = known_[lies_on->second].thing.slot;
  }
  auto& thing = known.thing;
  const bool is_image = touch.kind == policy::ThingKind::kImage;
  thing.kind = touch.kind;
  thing.id = touch.id;
  thing.name = is_image ? touch.name : touch.description;
  thing.parents = touch.parents;
  thing.bytes = touch.bytes;
  if (is_image && !touch.name.empty()) thing.slot = policy::image_slot(repository(touch.name));
  if (!is_image && !touch.description.empty()) thing.slot = policy::cache_slot(below, "", touch.description);
  return known;
}

void Replay::read() {
  std::unordered_map<std::string_view, std::size_t> ids;
  std::mt19937_64 dice(options_.seed);
  const auto unit = [&dice] { return static_cast<double>(dice() >> 11U) * 0x1p-53; };
  for (std::size_t job = 0; job < trace_.size(); ++job) {
    auto& touched = touched_.emplace_back();
    for (const auto& touch : trace_[job].touches) {
      const auto [found, is_new] = ids.try_emplace(touch.id, known_.size());
      touched.push_back(found->second);
      if (is_new) {
        known_.push_back(make(touch, ids));
        const auto normal = std::sqrt(-2 * std::log(1 - unit())) * std::cos(2 * std::numbers::pi * unit());
        known_.back().thing.cost.seconds = touch.cost_seconds * std::exp(options_.noise * normal);
      }
      auto& jobs = known_[found->second].jobs;
      if (jobs.empty() || jobs.back() != job) jobs.push_back(job);
    }
  }
}

// What the daemon learns: of a cache record that was made again it cannot know that it was there before.
void Replay::note(Known& known) {
  if (known.thing.kind == policy::ThingKind::kCache && known.thing.slot != 0)
    policy::note_slot_use(slots_[known.thing.slot], now(), known.is_there);
  if (known.is_there) {
    policy::note_use(known.thing.use, now());
  } else {
    known.thing.use = policy::first_use(now());
  }
}

void Replay::touch(std::size_t at) {
  auto& known = known_[at];
  const bool is_first = known.held_by != job_;  // touch of this job
  known.held_by = job_;
  if (!is_first && known.is_there) return;
  note(known);
  while (!known.jobs.empty() && known.jobs.front() <= job_) known.jobs.pop_front();
  if (known.is_there) return;
  known.is_there = true;
  for (const auto below : known.below) ++known_[below].above;
  used_ += known.touch->bytes;
  result_.rebuild_seconds += known.touch->cost_seconds;
  if (!has_free(kLow)) evict();
}

void Replay::drop(Known& known) {
  const bool is_bound = options_.policy != ReplayPolicy::kClairvoyant && known.above > 0;
  if (known.held_by == job_ || is_bound) return;
  known.is_there = false;
  for (const auto below : known.below) --known_[below].above;
  used_ -= known.touch->bytes;
  result_.evicted_bytes += known.touch->bytes;
  ++result_.evictions;
}

bool Replay::is_past(const Known& known) const {
  const bool is_image = known.thing.kind == policy::ThingKind::kImage;
  return now() - (is_image ? known.thing.use.first_seen : known.thing.use.last_use) >= kUntil;
}

void Replay::evict() {
  const bool is_until = options_.policy == ReplayPolicy::kUntil4h;
  for (const auto at : order()) {
    const bool is_over = has_free(kTarget);
    if (is_over && !is_until) return;
    if (!is_over || is_past(known_[at])) drop(known_[at]);
  }
}

Replay::Order Replay::order() {
  Order there;
  for (std::size_t i = 0; i < known_.size(); ++i) {
    if (known_[i].is_there) there.push_back(i);
  }
  if (options_.policy == ReplayPolicy::kClairvoyant) return by_foresight(there);
  if (options_.policy == ReplayPolicy::kClairvoyantOfTrees) return by_foresight_of_trees(there);
  if (options_.policy != ReplayPolicy::kUntil4h) return by_plan(there);
  Order past;
  Order rest;
  for (const auto at : by_plan(there)) (is_past(known_[at]) ? past : rest).push_back(at);
  past.insert(past.end(), rest.begin(), rest.end());
  return past;
}

// What is lost by the second if it goes now.
double Replay::foreseen_loss(const Known& known) const {
  if (known.jobs.empty()) return 0;  // never used again
  return known.touch->cost_seconds / std::max(trace_[known.jobs.front()].at - trace_[job_].at, 1e-3);
}

Replay::Order Replay::by_foresight(const Order& there) const {
  std::vector<std::pair<double, std::size_t>> ranked;
  ranked.reserve(there.size());
  for (const auto at : there) {
    const auto bytes = static_cast<double>(std::max<Bytes>(known_[at].touch->bytes, 1));
    ranked.emplace_back(foreseen_loss(known_[at]) / bytes, at);
  }
  std::sort(ranked.begin(), ranked.end());
  Order order;
  order.reserve(there.size());
  for (const auto& [key, at] : ranked) order.push_back(at);
  return order;
}

// All used as often, so that what is lost stands for the cost.
Replay::Order Replay::by_foresight_of_trees(const Order& there) const {
  std::vector<policy::Thing> things;
  things.reserve(there.size());
  for (const auto at : there) {
    things.push_back(known_[at].thing);
    things.back().cost.seconds = foreseen_loss(known_[at]);
    things.back().use = policy::first_use(now());
  }
  return of_places(policy::order_by_value(things, now()), there);
}

Replay::Order Replay::by_plan(const Order& there) {
  std::vector<policy::Thing> things;
  things.reserve(there.size());
  for (const auto at : there) {
    things.push_back(known_[at].thing);
    const auto slot = slots_.find(things.back().slot);
    if (slot != slots_.end()) things.back().slot_history = slot->second;
  }
  const auto begin = std::chrono::steady_clock::now();
  policy::mark_superseded(things);
  const bool is_by_value = options_.policy == ReplayPolicy::kValue;
  const auto places = is_by_value ? policy::order_by_value(things, now()) : policy::order_by_last_use(things, now());
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
  decisions_.push_back(took.count());
  return of_places(places, there);
}

double Replay::p99() const {
  if (decisions_.empty()) return 0;
  auto sorted = decisions_;
  std::sort(sorted.begin(), sorted.end());
  return sorted[std::min(sorted.size() - 1, sorted.size() * 99 / 100)];
}

}  // namespace

std::optional<ReplayPolicy> replay_policy(std::string_view name) {
  if (name == "value") return ReplayPolicy::kValue;
  if (name == "last_use") return ReplayPolicy::kLastUse;
  if (name == "until=4h") return ReplayPolicy::kUntil4h;
  if (name == "clairvoyant") return ReplayPolicy::kClairvoyant;
  if (name == "clairvoyant_of_trees") return ReplayPolicy::kClairvoyantOfTrees;
  return std::nullopt;
}

ReplayResult replay(const Trace& trace, const ReplayOptions& options) { return Replay(trace, options).run(); }

}  // namespace buildwarden::testing
