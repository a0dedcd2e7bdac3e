// One connection: requests come in, answers go out, until either side has enough.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "common/clock.h"
#include "daemon/api/failures.h"
#include "daemon/api/message.h"
#include "daemon/api/peer_quota.h"
#include "daemon/api/request_turns.h"

namespace buildwarden::api {

// Times are totals: a byte now and then makes none of them longer.
struct SessionLimits {
  std::uint32_t head_bytes = 8 * 1024;              // request line and headers: 431 beyond
  std::size_t body_bytes = std::size_t{64} * 1024;  // 413 beyond; over TCP there is none
  Duration idle_within =
      std::chrono::seconds{60};  // from an answer, or from the start, to the next request's first byte
  Duration head_within = std::chrono::seconds{5};      // from its first byte
  Duration body_within = std::chrono::seconds{10};     // from the end of the head
  Duration written_within = std::chrono::seconds{10};  // an answer, or a piece of a stream
  // Clients that do not take an answer at once, each of which holds it in memory until then.
  QuotaLimits slow_readers{64, 16, 16};
};

// What a session needs of its server, which outlives it.
struct SessionContext {
  // Asked when the head of a request is there, before a body is read: an answer refuses it.
  std::function<std::optional<Response>(const Request&)> refuse;
  // With whom a request waits for its turn.
  std::function<PeerKey(const Request&)> turn_of;
  Handler handler;
  const Clock* clock = nullptr;
  SessionLimits limits;
  FailureLog* failures = nullptr;
};

// What sessions share.
struct SessionShares {
  RequestTurns& turns;
  PeerQuota& slow_readers;
};

struct Connection {
  boost::asio::generic::stream_protocol::socket socket;
  Origin origin = Origin::kUnix;
  ports::Peer peer;
  PeerKey from;
};

class Session {
 public:
  virtual ~Session() = default;
  // Until the connection is closed. Never throws.
  virtual boost::asio::awaitable<void> run() = 0;
  // Ends it soon: at once when no request has come whole or when the answer is an endless stream, else after it.
  virtual void finish() = 0;
  // Closes the connection, whatever goes on.
  virtual void abort() = 0;
  // What it waits for, and since when; nothing while a request is being answered, and after finish().
  enum class Waits : std::uint8_t {
    kForClient,  // for a request, the rest of one, or its hanging up
    kForTurn,    // with a request that is whole
  };
  struct Waiting {
    Waits what;
    std::chrono::steady_clock::time_point since;
    friend auto operator<=>(const Waiting&, const Waiting&) = default;
  };
  [[nodiscard]] virtual std::optional<Waiting> waiting() const = 0;
};

std::shared_ptr<Session> make_session(Connection connection, const SessionContext& context,
                                      const SessionShares& shares);

}  // namespace buildwarden::api
