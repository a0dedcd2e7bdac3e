// One connection: requests come in, answers go out, until either side has enough.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "common/clock.h"
#include "daemon/api/message.h"

namespace buildwarden::api {

struct SessionLimits {
  std::uint32_t head_bytes = 8 * 1024;                  // request line and headers: 431 beyond
  std::uint64_t body_bytes = std::uint64_t{64} * 1024;  // 413 beyond
  Duration head_within = std::chrono::seconds{60};      // of the last answer; the connection may idle so long
  Duration body_within = std::chrono::seconds{10};      // of the head
  Duration written_within = std::chrono::seconds{10};   // an answer, or a piece of a stream
};

// What a session needs of its server, which outlives it.
struct SessionContext {
  Handler handler;
  const Clock* clock = nullptr;
  SessionLimits limits;
};

struct Connection {
  boost::asio::generic::stream_protocol::socket socket;
  Origin origin = Origin::kUnix;
  ports::Peer peer;
};

class Session {
 public:
  virtual ~Session() = default;
  // Until the connection is closed. Never throws.
  virtual boost::asio::awaitable<void> run() = 0;
  // Ends it soon: at once when no request is being answered or when the answer is an endless stream, else after it.
  virtual void finish() = 0;
  // Closes the connection, whatever goes on.
  virtual void abort() = 0;
  // Since when it has been waiting for a request; nothing while one is being answered, and after finish().
  [[nodiscard]] virtual std::optional<std::chrono::steady_clock::time_point> idle_since() const = 0;
};

std::shared_ptr<Session> make_session(Connection connection, const SessionContext& context);

}  // namespace buildwarden::api
