// Listening sockets and the connections that come in on them.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <list>
#include <memory>

#include "daemon/api/peer_quota.h"
#include "daemon/api/request_turns.h"
#include "daemon/api/server_session.h"
#include "daemon/api/sockets.h"

namespace buildwarden::api {

// For the loop's thread alone. Its coroutines use it until stop() has been awaited: do that before destroying it.
class Server {
 public:
  Server(boost::asio::any_io_executor executor, SessionContext context);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves connections of a listening socket from now on. Where a peer has its share of them, or all places are taken,
  // one goes of the peer that is in the way: the one that has waited the longest for a request, or for the rest of one;
  // else the one whose request has waited the longest for its turn. Where all are being answered the new one is
  // answered with 503. `is_unix`: its peers are known.
  Result<void> listen(UniqueFd listening, bool is_unix, const QuotaLimits& connections);

  // Takes no more connections, ends idle ones and streams, lets running requests finish for at most `patience`, then
  // closes what is left.
  boost::asio::awaitable<void> stop(Duration patience);

  [[nodiscard]] std::size_t connections() const;

 private:
  struct Listener;
  struct Entry;
  struct Life;
  class Stay;
  boost::asio::awaitable<void> accept(std::shared_ptr<Listener> listener, Stay stay);
  boost::asio::awaitable<void> accept_one(Listener& listener);
  boost::asio::awaitable<void> serve(std::shared_ptr<Entry> entry, Stay stay);
  void admit(Listener& listener, boost::asio::generic::stream_protocol::socket socket);
  static void end(Entry& entry);
  [[nodiscard]] bool make_way(Listener& listener, const PeerKey& who);
  boost::asio::awaitable<void> wait_until_quiet(Duration patience);

  boost::asio::any_io_executor executor_;
  SessionContext context_;
  RequestTurns turns_;
  PeerQuota slow_readers_;
  std::list<std::shared_ptr<Listener>> listeners_;
  std::shared_ptr<Life> life_;
  bool stopping_ = false;
};

}  // namespace buildwarden::api
