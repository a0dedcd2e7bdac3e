// The journal: the last events in memory, each also a line of the log, counted by kind, and offered to followers. Those
// that are made on demand (ports::is_on_demand) have a bound of their own, so that no job can push out the others.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/journald.h"
#include "common/log_budget.h"
#include "daemon/ports/journal.h"

namespace buildwarden::telemetry {

inline constexpr std::size_t kJournalCapacity = 1000;
inline constexpr std::size_t kOnDemandShare = 2;  // half as many of those made on demand

// Kinds beyond these many count as "other": a label of a metric must stay bounded whatever a room writes.
inline constexpr std::size_t kMostKinds = 64;

// For the loop's thread alone; `clock` outlives it.
class EventLog final : public ports::Journal, public ports::EventSource {
 public:
  // Told of each event right after it was kept, on the loop, in order. It may record events itself.
  using Listener = std::function<void(const ports::RecordedEvent&)>;

  explicit EventLog(const Clock& clock, std::size_t capacity = kJournalCapacity);

  // Until begin(), events wait for their numbers: nobody but the log sees them.
  void hold();
  // Numbers begin at `first`, 1 without it. Those that waited are told to the followers now.
  void begin(std::uint64_t first);
  // Events of earlier starts, oldest first, as far as there is room for them. Those that are not older than all that
  // are known are left out. Not told to followers.
  void remember(std::vector<ports::RecordedEvent> past);

  void record(ports::Event event) override;
  [[nodiscard]] std::vector<ports::RecordedEvent> since(std::uint64_t after, std::size_t most) const override;
  [[nodiscard]] std::uint64_t last_id() const override { return last_id_; }
  [[nodiscard]] std::uint64_t forgotten_id() const override { return rest_.forgotten; }
  [[nodiscard]] const std::string& error() const override { return error_; }
  void set_error(std::string error) { error_ = std::move(error); }

  // Of those not made on demand.
  [[nodiscard]] std::size_t capacity() const { return rest_.capacity; }

  // Follows until the returned handle is destroyed; the handle may outlive the log.
  [[nodiscard]] std::shared_ptr<void> subscribe(Listener listener);

  // Events since the start, by kind.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& counts() const { return counts_; }

 private:
  struct Follower {
    Listener listener;
    bool gone = false;
  };
  // The latest of one sort; ids grow.
  struct Ring {
    std::size_t capacity = 1;
    std::deque<ports::RecordedEvent> events;
    std::uint64_t forgotten = 0;  // the newest that had to go
    void add(ports::RecordedEvent recorded);
    // In front, if there is room.
    void add_earlier(ports::RecordedEvent recorded);
  };
  [[nodiscard]] Ring& ring_of(const ports::Event& event) { return ports::is_on_demand(event) ? on_demand_ : rest_; }
  void write_to_log(const ports::Event& event);
  void count(const std::string& kind);
  void keep(ports::RecordedEvent recorded);
  void tell(const ports::RecordedEvent& recorded);

  const Clock& clock_;
  Ring rest_;
  Ring on_demand_;
  LogBudget on_demand_lines_{60};
  std::uint64_t last_id_ = 0;
  bool held_ = false;
  std::vector<ports::RecordedEvent> waiting_;
  std::string error_;
  std::map<std::string, std::uint64_t> counts_;
  std::list<std::shared_ptr<Follower>> followers_;
};

// "kind rule: reason {k=v k2="v w"}" on one line: control characters are written as \xNN, since reasons quote what
// others sent.
std::string journal_line(const ports::Event& event);

// For journald: BUILDWARDEN_KIND of the event's kind and of those above it ("reclaim.step", "reclaim"),
// BUILDWARDEN_RULE, and each field as BUILDWARDEN_ and its name in capitals.
JournalFields journal_fields(const ports::Event& event);

}  // namespace buildwarden::telemetry
