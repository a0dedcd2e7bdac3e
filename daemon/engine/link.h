// The standing connection to the engine: heartbeat, event stream, loss, and coming back.
#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/http_client.h"
#include "common/tick.h"
#include "daemon/engine/transport.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/journal.h"

namespace buildwarden::engine {

struct LinkTimes {
  Duration heartbeat = kIdleTick;                    // a ping after about that long without an event
  Duration ping_deadline = std::chrono::seconds{5};  // an engine that needs longer counts as lost
  Duration first_retry = std::chrono::milliseconds{100};
  Duration last_retry = std::chrono::seconds{2};  // doubling up to it; a connection that held longer starts anew
};

class Link {
 public:
  // All live longer.
  Link(Transport& transport, const Clock& clock, ports::Journal& journal, LinkTimes times);

  // Connects, follows the events, and comes back for as long as it takes. Ends soon after stop(), or when it is
  // cancelled; once only.
  boost::asio::awaitable<void> run();
  void stop();

  [[nodiscard]] const ports::EngineStatus& status() const { return status_; }

  void on_event(std::function<void(const ports::EngineEvent&)> listener);
  void on_connected(std::function<void(const ports::EngineIdentity&, std::optional<Duration>)> listener);
  void on_lost(std::function<void(const std::string&)> listener);

 private:
  boost::asio::awaitable<void> loop();
  // What the engine tells of, as streams, since a filter cannot say "these, and of others those": all that matters but
  // commands in containers; and those in containers of buildx. A health check is three events of the latter kind.
  enum Channel : std::uint8_t { kChanges, kBuilds, kChannels };
  using Streams = std::array<std::shared_ptr<HttpStream>, kChannels>;
  // One attempt: ping, identity, event streams.
  ports::Async<Streams> connect();
  ports::Async<std::unique_ptr<HttpStream>> open(Channel channel);
  // Delivers what the engine remembers of the time before the first connect, all of it.
  ports::Async<void> tell_past(std::int64_t until_nanos);
  // Delivers events until the engine is lost; then why.
  boost::asio::awaitable<Error> follow(Streams streams);
  boost::asio::awaitable<Error> follow(Channel channel, std::shared_ptr<HttpStream> events);
  boost::asio::awaitable<void> wait(Duration delay);

  void connected();
  void lost(const Error& why);
  void deliver(const ports::EngineEvent& event);

  Transport& transport_;
  const Clock& clock_;
  ports::Journal& journal_;
  LinkTimes times_;
  ports::EngineStatus status_;
  std::optional<BootTime> heard_;  // the last proof that the engine lived and we followed its events
  std::array<std::int64_t, kChannels> since_nanos_{};  // where each stream goes on; 0: not begun
  bool stopping_ = false;
  std::function<void()> wake_;  // ends run()'s wait for stop()
  std::vector<std::function<void(const ports::EngineEvent&)>> event_listeners_;
  std::vector<std::function<void(const ports::EngineIdentity&, std::optional<Duration>)>> connect_listeners_;
  std::vector<std::function<void(const std::string&)>> loss_listeners_;
};

}  // namespace buildwarden::engine
