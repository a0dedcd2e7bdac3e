// When each image, and each builder that a job made, was used last, as far as we have watched: the engine does not
// know.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/loop_timer.h"
#include "daemon/policy/eviction_order.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/last_use.h"

namespace buildwarden::disk {

// The rows that say until when events were followed, and when the last of them happened; no image has such ids.
inline constexpr const char* kAliveRow = "@alive";
inline constexpr const char* kEventRow = "@event";

// Facts about images hold for one engine and one data root.
std::string ledger_scope(const ports::EngineIdentity& identity);

// Lives on the loop, from memory; the store is written behind, and a store that fails is shown by error() and costs
// nothing but the memory of earlier starts. Must outlive its coroutines.
class LastUseLedger final : public ports::LastUses {
 public:
  LastUseLedger(const Clock& clock, ports::LedgerStore& store, ports::Journal& journal);

  // The engine is reached and events flow. Another scope: its rows are loaded and the old ones stay in the store.
  // `gap`: for how long events were lost; nothing: since the last time that the store remembers. After a gap in which
  // something may have happened that the engine did not replay, every image counts as used at its end.
  boost::asio::awaitable<void> connected(ports::EngineIdentity identity, std::optional<Duration> gap);
  // Events are being lost from now on.
  void lost();
  // An event happened. `before_start`: the engine replays it to a daemon that has just started; to be told before
  // connected(). When the last event of the daemon before is among them, none was lost, however long the gap.
  void heard(WallTime at, bool before_start);
  // The ids of the engine's images, all of them and sorted: unknown ones were first seen now, those that are gone are
  // forgotten. Lets others have the loop in between; breaks off when another engine answers by then.
  boost::asio::awaitable<void> seen(std::shared_ptr<const std::vector<std::string>> ids);
  // The same of builders that jobs made, and of anonymous volumes: the rows of all of them.
  void seen_builders(const std::set<std::string>& rows);
  // A stamp from the future counts as now.
  void used(const std::string& id, WallTime when, const std::string& why);
  // `id` was used when `user` was, which is built on it, where that is later; both are known, else nothing happens.
  void used_through(const std::string& id, const std::string& user);

  // Whether last_use() speaks of this engine.
  [[nodiscard]] bool knows(const ports::EngineIdentity& identity) const override;
  // Whether it was seen, or used, and is not gone since.
  [[nodiscard]] bool has(const std::string& id) const override { return entries_.contains(id); }
  // An image that was never seen is used now.
  [[nodiscard]] policy::LastUse last_use(const std::string& id, Now now) const override;
  [[nodiscard]] std::string why(const std::string& id) const override;

  // Writes what changed (with `all`: every row, since unused rows grow older too).
  boost::asio::awaitable<void> flush(bool all);
  // Flushes now and then, and everything once more after stop(), which it outlives by that one save.
  boost::asio::awaitable<void> run();
  void stop() { loop_timer_.stop(); }
  // Why the last load or save failed, "" when it did not.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  struct Entry {
    WallTime last_used;
    Duration observed{0};  // unused for this long until `since`
    BootTime since{};
    std::string why;
    bool dirty = true;
  };
  void see(const std::string& id, Now now);
  void merge(const std::vector<ports::LedgerRow>& rows, Now now);
  void close_gap(std::optional<Duration> gap, Now now);
  void use_all(std::optional<Duration> gap, const std::string& why, Now now);
  [[nodiscard]] static Duration observed_at(const Entry& entry, Now now);
  std::vector<ports::LedgerRow> rows_to_save(bool all, Now now);

  const Clock& clock_;
  ports::LedgerStore& store_;
  ports::Journal& journal_;
  std::string scope_;
  bool loaded_ = false;
  bool connected_ = false;
  std::optional<WallTime> alive_;       // until when events were followed, at the last save
  std::optional<WallTime> last_event_;  // of this connection
  std::optional<WallTime> remembered_;  // the last event of the daemon before
  std::set<WallTime> replayed_;
  bool event_dirty_ = false;
  std::map<std::string, Entry> entries_;
  std::set<std::string> gone_;
  std::string error_;
  LoopTimer loop_timer_;
};

}  // namespace buildwarden::disk
