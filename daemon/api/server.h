// Listening sockets and the connections that come in on them.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <list>
#include <memory>

#include "common/bell.h"
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

  // Serves connections of a listening socket from now on, at most `most` at once: beyond that the one that has idled
  // the longest goes, and where none idles the new one is answered with 503. `is_unix`: its peers are known.
  Result<void> listen(UniqueFd listening, bool is_unix, std::size_t most);

  // Takes no more connections, ends idle ones and streams, lets running requests finish for at most `patience`, then
  // closes what is left.
  boost::asio::awaitable<void> stop(Duration patience);

  [[nodiscard]] std::size_t connections() const;

 private:
  struct Listener;
  struct Entry;
  boost::asio::awaitable<void> accept(Listener& listener);
  boost::asio::awaitable<void> serve(Listener& listener, std::shared_ptr<Entry> entry);
  void admit(Listener& listener, boost::asio::generic::stream_protocol::socket socket);
  boost::asio::awaitable<void> wait_until_quiet(Duration patience);

  boost::asio::any_io_executor executor_;
  SessionContext context_;
  std::list<Listener> listeners_;
  bool stopping_ = false;
  std::size_t coroutines_ = 0;
  Bell quiet_;
};

}  // namespace buildwarden::api
