// The ledger's way to its store: batched, behind, never waited for by a decision.
#include <algorithm>
#include <utility>

#include "common/tick.h"
#include "daemon/last_use/last_use_ledger.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

// So that a restart within the replayable gap finds out that it was within it.
constexpr Duration kAliveEvery = std::chrono::seconds{30};
constexpr int kTurnsPerFullFlush = 60;

}  // namespace

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
