// Is buildkitd alive? Asked on its socket, without exec: a frozen one accepts a connection but says nothing
// on it.
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <optional>
#include <string>

#include "common/units.h"
#include "daemon/ports/engine.h"

namespace buildwarden::builders {

// One question at a time. Outlives its question; destroying it with one in flight is the owner's mistake.
class Probe {
 public:
  explicit Probe(boost::asio::any_io_executor executor);

  // Connects to the unix socket, sends the HTTP/2 client preface and waits for the server's SETTINGS frame. Gives the
  // number of other connections on that socket: running builds, more or less; nothing where that cannot be told.
  // kUnavailable, kNotFound: nobody listens; kTimeout: no answer within `deadline`; kProtocol: something else answers;
  // kInvalid: the path is too long; kCancelled: cancel() or the coroutine was cancelled.
  ports::Async<std::optional<int>> ask(std::string socket_path, Duration deadline);

  // The process that listens on the socket, as the last question met it; nothing while nobody does.
  [[nodiscard]] std::optional<pid_t> listener() const { return listener_; }

  // Ends a question in flight.
  void cancel();

 private:
  struct Exchange;
  boost::asio::any_io_executor executor_;
  std::weak_ptr<Exchange> current_;
  std::optional<pid_t> listener_;
};

}  // namespace buildwarden::builders
