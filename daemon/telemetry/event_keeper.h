// The journal's way to its store and back: behind, in batches, never waited for by whoever records.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "common/clock.h"
#include "daemon/ports/journal.h"
#include "daemon/telemetry/event_log.h"

namespace buildwarden::telemetry {

// At the start it loads the latest events and lets the log's numbers go on after them. Where the earlier ones may have
// had numbers that are not known (the daemon ended without a stop, the store cannot be read or was begun anew), they go
// on at the milliseconds since 1970: beyond whatever a thousand events a second can have reached.
// A store that fails is an error() of the log and costs nothing but the memory of earlier starts. Nothing wakes up and
// nothing is written while nothing is recorded.
class EventKeeper {
 public:
  // Holds the log's events until they have numbers. All outlive it; it outlives run().
  EventKeeper(const boost::asio::any_io_executor& executor, EventLog& log, ports::EventStore& store,
              const Clock& clock);

  // One turn each: loading; storing what is new.
  boost::asio::awaitable<void> start();
  boost::asio::awaitable<void> flush();

  // start(), then flush() a second after the first of a batch was recorded, sooner when there are many, and once more
  // after stop().
  boost::asio::awaitable<void> run();
  void stop();

 private:
  boost::asio::awaitable<void> load();
  boost::asio::awaitable<void> wait();
  [[nodiscard]] bool pending() const { return log_.last_id() > saved_; }
  [[nodiscard]] bool crowded() const;
  void conclude(const std::string& failure);

  EventLog& log_;
  ports::EventStore& store_;
  const Clock& clock_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<void> following_;
  std::uint64_t saved_ = 0;  // all events up to this one are stored
  bool loaded_ = false;
  bool idle_ = false;  // the timer waits for an event
  bool stopping_ = false;
};

}  // namespace buildwarden::telemetry
