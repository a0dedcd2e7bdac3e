#include "daemon/policy/savings.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <iterator>
#include <utility>

#include "common/format.h"

namespace buildwarden::policy {
namespace {

constexpr std::string_view kImageKey = "image ";
constexpr std::string_view kCacheKey = "cache ";
constexpr int kKeyBase = 16;
constexpr std::size_t kKeyDigits = 16;

auto day_of(WallTime at) { return std::chrono::floor<std::chrono::days>(at); }

std::string caches_of(std::string_view builder) { return format("{}{} ", kCacheKey, builder); }

}  // namespace

Amount& Amount::operator+=(const Amount& other) {
  seconds += other.seconds;
  estimated_seconds += other.estimated_seconds;
  bytes += other.bytes;
  times += other.times;
  return *this;
}

Amount amount_of(const Cost& cost, Bytes bytes) {
  const auto seconds = std::max(cost.seconds, 0.0);
  return {seconds, cost.is_estimated ? seconds : 0, std::max<Bytes>(bytes, 0), 1};
}

std::string_view to_string(Account account) { return account == Account::kSaved ? "saved" : "regretted"; }

void Savings::note(const AccountId& id, const Amount& amount, WallTime at) {
  add({"", id.account, id.kind}, amount, at);
  if (id.pipeline.empty()) return;
  const bool is_new = !rows_.contains(id);
  add(id, amount, at);
  if (is_new) bound_pipelines();
}

void Savings::add(const AccountId& id, const Amount& amount, WallTime at) {
  auto& row = rows_[id];
  if (day_of(at) > day_of(row.last)) row.of_day = Amount{};
  row.last = std::max(row.last, at);
  row.total += amount;
  if (day_of(at) == day_of(row.last)) row.of_day += amount;
  changes_.changed.insert(id);
}

void Savings::bound_pipelines() {
  std::map<std::string_view, WallTime> last;
  for (const auto& [id, row] : rows_) {
    if (!id.pipeline.empty()) last[id.pipeline] = std::max(last[id.pipeline], row.last);
  }
  if (last.size() <= kMostPipelines) return;
  const auto oldest = std::min_element(last.begin(), last.end(),
                                       [](const auto& one, const auto& other) { return one.second < other.second; });
  const std::string pipeline(oldest->first);
  for (auto at = rows_.begin(); at != rows_.end();) {
    if (at->first.pipeline != pipeline) {
      ++at;
      continue;
    }
    changes_.changed.erase(at->first);
    changes_.forgotten.push_back(at->first);
    at = rows_.erase(at);
  }
}

void Savings::restore(const AccountId& id, const AccountRow& row) {
  auto& here = rows_[id];
  here.total += row.total;
  if (day_of(row.last) >= day_of(here.last)) here.of_day += row.of_day;
  here.last = std::max(here.last, row.last);
  bound_pipelines();
}

void Savings::bound_time(WallTime now) {
  for (auto& [id, row] : rows_) {
    if (day_of(row.last) <= day_of(now)) continue;
    row.last = now;
    row.of_day = Amount{};
    changes_.changed.insert(id);
  }
}

Amount Savings::today(const AccountRow& row, WallTime now) {
  return day_of(row.last) == day_of(now) ? row.of_day : Amount{};
}

Savings::Changes Savings::take_changes() { return std::exchange(changes_, {}); }

void Deleted::note(const std::string& key, const Amount& amount, WallTime at) {
  const auto before = entries_.find(key);
  if (before != entries_.end()) erase(before);
  entries_[key] = Entry{amount, at};
  by_time_.emplace(at, key);
  if (entries_.size() <= kMost) return;
  auto oldest = entries_.find(by_time_.begin()->second);
  made_way_.push_back(oldest->first);
  erase(oldest);
}

void Deleted::erase(std::map<std::string, Entry>::iterator entry) {
  by_time_.erase({entry->second.at, entry->first});
  entries_.erase(entry);
}

std::optional<Amount> Deleted::made_again(const std::string& key, WallTime at) {
  const auto found = entries_.find(key);
  if (found == entries_.end() || at < found->second.at) return std::nullopt;
  const auto entry = found->second;
  made_way_.push_back(key);
  erase(found);
  return at - entry.at <= kRegretWithin ? std::optional(entry.amount) : std::nullopt;
}

std::vector<std::string> Deleted::forget(WallTime now) {
  while (!by_time_.empty() && now - by_time_.begin()->first > kRegretWithin) {
    const auto key = by_time_.begin()->second;
    made_way_.push_back(key);
    erase(entries_.find(key));
  }
  return std::exchange(made_way_, {});
}

std::map<SlotId, WallTime> Deleted::slots_of(const std::string& builder) const {
  const auto head = caches_of(builder);
  std::map<SlotId, WallTime> slots;
  for (auto at = entries_.lower_bound(head); at != entries_.end() && at->first.starts_with(head); ++at) {
    const auto digits = std::string_view(at->first).substr(head.size());
    SlotId slot = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), slot, kKeyBase);
    if (digits.size() == kKeyDigits && read.ec == std::errc{} && slot != 0) slots[slot] = at->second.at;
  }
  return slots;
}

std::string image_key(std::string_view id) { return format("{}{}", kImageKey, id); }

std::string cache_key(std::string_view builder, SlotId slot) { return format("{}{:016x}", caches_of(builder), slot); }

}  // namespace buildwarden::policy
