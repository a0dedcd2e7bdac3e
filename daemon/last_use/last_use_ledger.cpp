#include "daemon/last_use/last_use_ledger.h"

#include <algorithm>
#include <utility>

#include "common/cooperative_yield.h"
#include "common/format.h"
#include "common/tick.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

// The engine replays an in-memory ring of 256 events: what happened in a minute is in it, where nothing shows more.
constexpr Duration kReplayable = std::chrono::seconds{60};
constexpr std::size_t kMostReplayed = 1024;  // more than any engine's ring

constexpr std::size_t kMostWords = 200;

bool is_of_builder(const std::string& id) {
  return id.starts_with(ports::builder_row("")) || id.starts_with(ports::volume_row(""));
}

// So that a restart within the replayable gap finds out that it was within it.
constexpr Duration kAliveEvery = std::chrono::seconds{30};
constexpr int kTurnsPerFullFlush = 60;

}  // namespace

std::string ledger_scope(const ports::EngineIdentity& identity) { return identity.id + " " + identity.root_dir; }

LastUseLedger::LastUseLedger(const Clock& clock, ports::LedgerStore& store, ports::Journal& journal)
    : clock_(clock), store_(store), journal_(journal) {}

asio::awaitable<void> LastUseLedger::connected(ports::EngineIdentity identity, std::optional<Duration> gap) {
  const auto scope = ledger_scope(identity);
  if (scope != scope_ || !loaded_) {
    connected_ = false;
    co_await flush(true);
    entries_.clear();
    gone_.clear();
    alive_.reset();
    remembered_.reset();
    scope_ = scope;
    loaded_ = false;
    gap.reset();
    auto rows = co_await store_.load(scope);
    if (scope_ != scope) co_return;
    if (rows) merge(*rows, clock_.now());
    error_ = rows ? "" : rows.error().message();
    loaded_ = true;
  }
  close_gap(gap, clock_.now());
  replayed_.clear();
  connected_ = true;
}

// The engine may have ended, and its ring with it: the events of before prove nothing of the next connection.
void LastUseLedger::lost() {
  connected_ = false;
  event_dirty_ = event_dirty_ || last_event_;
  last_event_.reset();
}

void LastUseLedger::heard(WallTime at, bool before_start) {
  if (before_start && replayed_.size() < kMostReplayed) replayed_.insert(at);
  if (last_event_ && at <= *last_event_) return;
  last_event_ = at;
  event_dirty_ = true;
}

asio::awaitable<void> LastUseLedger::seen(std::shared_ptr<const std::vector<std::string>> ids) {
  const Now now = clock_.now();
  const auto scope = scope_;
  CooperativeYield others;
  for (const auto& id : *ids) {
    see(id, now);
    co_await others.yield();
    if (scope != scope_) co_return;
  }
  for (auto at = entries_.begin(); at != entries_.end();) {
    const auto id = at->first;
    const bool is_there = is_of_builder(id) || std::binary_search(ids->begin(), ids->end(), id);
    if (!is_there) gone_.insert(id);
    if (!is_there) entries_.erase(at);
    co_await others.yield();
    if (scope != scope_) co_return;
    at = entries_.upper_bound(id);  // others had the loop, and may have changed the map
  }
}

void LastUseLedger::seen_builders(const std::set<std::string>& rows) {
  const Now now = clock_.now();
  for (const auto& row : rows) see(row, now);
  const auto is_gone = [&rows](const std::string& id) { return is_of_builder(id) && !rows.contains(id); };
  for (const auto& [id, entry] : entries_) {
    if (is_gone(id)) gone_.insert(id);
  }
  std::erase_if(entries_, [&is_gone](const auto& entry) { return is_gone(entry.first); });
}

void LastUseLedger::see(const std::string& id, Now now) {
  const auto [at, is_new] = entries_.try_emplace(id, Entry{now.wall, Duration{0}, now.boot, "first seen", true});
  if (is_new) gone_.erase(id);
}

void LastUseLedger::used(const std::string& id, WallTime when, const std::string& why) {
  const Now now = clock_.now();
  auto& entry = entries_[id];
  entry.last_used = std::max(entry.last_used, std::min(when, now.wall));
  entry.observed = Duration{0};
  entry.since = now.boot;
  entry.why = why;
  entry.dirty = true;
  gone_.erase(id);
}

void LastUseLedger::used_through(const std::string& id, const std::string& user) {
  const auto at = entries_.find(id);
  const auto by = entries_.find(user);
  if (at == entries_.end() || by == entries_.end() || by->second.last_used <= at->second.last_used) return;
  const Now now = clock_.now();
  auto& entry = at->second;
  entry.observed = std::min(observed_at(entry, now), observed_at(by->second, now));
  entry.since = now.boot;
  entry.last_used = by->second.last_used;
  entry.why = format("an image that is built on it: {}", by->second.why);
  if (entry.why.size() > kMostWords) entry.why.resize(kMostWords);  // one on another on another
  entry.dirty = true;
}

bool LastUseLedger::knows(const ports::EngineIdentity& identity) const {
  return loaded_ && connected_ && scope_ == ledger_scope(identity);
}

policy::LastUse LastUseLedger::last_use(const std::string& id, Now now) const {
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) return policy::LastUse{now.wall, Duration{0}};
  return policy::LastUse{std::min(entry->second.last_used, now.wall), observed_at(entry->second, now)};
}

std::string LastUseLedger::why(const std::string& id) const {
  const auto entry = entries_.find(id);
  return entry == entries_.end() ? "never seen" : entry->second.why;
}

Duration LastUseLedger::observed_at(const Entry& entry, Now now) {
  return entry.observed + std::max(Duration{0}, now.boot - entry.since);
}

// What was used while the rows were being loaded is newer than they are.
void LastUseLedger::merge(const std::vector<ports::LedgerRow>& rows, Now now) {
  for (const auto& row : rows) {
    if (row.id == kAliveRow) {
      alive_ = row.last_used;
      continue;
    }
    if (row.id == kEventRow) {
      if (row.last_used != WallTime{}) remembered_ = row.last_used;
      continue;
    }
    if (gone_.contains(row.id) || entries_.contains(row.id)) continue;
    entries_[row.id] =
        Entry{std::min(row.last_used, now.wall), std::max(Duration{0}, row.observed), now.boot, row.why, false};
  }
}

void LastUseLedger::close_gap(std::optional<Duration> gap, Now now) {
  const bool of_a_restart = !gap;
  if (!gap && alive_ && *alive_ <= now.wall) gap = now.wall - *alive_;
  if (of_a_restart && remembered_) {
    if (replayed_.contains(*remembered_)) return;
    use_all(gap, "and the engine does not remember the last one that was", now);
  } else if (!gap || *gap > kReplayable) {
    use_all(gap, format("more than the engine can replay ({})", short_duration(kReplayable)), now);
  }
}

void LastUseLedger::use_all(std::optional<Duration> gap, const std::string& why, Now now) {
  const auto length = gap ? short_duration(*gap) : std::string("an unknown time");
  std::int64_t moved = 0;
  for (auto& [id, entry] : entries_) {
    if (entry.last_used >= now.wall) continue;
    entry = Entry{now.wall, Duration{0}, now.boot, format("may have been used unseen within {}", length), true};
    ++moved;
  }
  if (moved == 0) return;
  ports::Event event;
  event.kind = "ledger.gap";
  event.severity = ports::Severity::kWarning;
  event.reason = format(
      "Engine events were not followed for {}, {}: all {} images, jobs' builders and anonymous volumes count as used "
      "now.",
      length, why, moved);
  event.rule = "gap";
  event.fields.emplace_back("images", moved);
  if (gap) event.fields.emplace_back("gap_seconds", static_cast<double>(gap->count()) / 1000.0);
  journal_.record(std::move(event));
}

// The row of the ledger itself. Marked clean at once: a failed save marks everything for the next one.
std::vector<ports::LedgerRow> LastUseLedger::rows_to_save(bool all, Now now) {
  std::vector<ports::LedgerRow> rows;
  for (auto& [id, entry] : entries_) {
    if (!all && !entry.dirty) continue;
    rows.push_back(ports::LedgerRow{id, entry.last_used, observed_at(entry, now), entry.why});
    entry.dirty = false;
  }
  if (event_dirty_ && connected_) {
    const auto last = last_event_.value_or(WallTime{});
    rows.push_back(ports::LedgerRow{kEventRow, last, Duration{0}, "the last event that was followed"});
    event_dirty_ = false;
  }
  const bool alive_is_old = !alive_ || *alive_ > now.wall || now.wall - *alive_ >= kAliveEvery;
  if (connected_ && (all || alive_is_old || !rows.empty())) {
    alive_ = now.wall;
    rows.push_back(ports::LedgerRow{kAliveRow, now.wall, Duration{0}, "events were followed until then"});
  }
  return rows;
}

asio::awaitable<void> LastUseLedger::flush(bool all) {
  if (scope_.empty() || !loaded_) co_return;
  const auto scope = scope_;
  auto rows = rows_to_save(all, clock_.now());
  std::vector<std::string> gone(gone_.begin(), gone_.end());
  gone_.clear();
  std::string failure;
  if (!rows.empty()) {
    const auto saved = co_await store_.save(scope, std::move(rows));
    if (!saved) failure = saved.error().message();
  }
  if (!gone.empty()) {
    const auto forgotten = co_await store_.forget(scope, gone);
    if (!forgotten) failure = forgotten.error().message();
  }
  error_ = failure;
  if (failure.empty() || scope != scope_) co_return;
  for (auto& [id, entry] : entries_) entry.dirty = true;
  event_dirty_ = true;
  for (auto& id : gone) {
    if (!entries_.contains(id)) gone_.insert(std::move(id));
  }
}

asio::awaitable<void> LastUseLedger::run() {
  for (int turn = 1; !loop_timer_.stopped(); ++turn) {
    // A batch is never older than a tick.
    co_await loop_timer_.sleep_until(next_tick(std::chrono::steady_clock::now(), kIdleTick));
    if (!loop_timer_.stopped()) co_await flush(turn % kTurnsPerFullFlush == 0);
  }
  co_await flush(true);
}

}  // namespace buildwarden::disk
