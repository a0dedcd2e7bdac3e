// The whole daemon: every room made, connected, started and stopped in order.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "common/result.h"
#include "common/sd_listen.h"
#include "config/load.h"
#include "daemon/policy/termination.h"

namespace buildwarden {

// On the loop's thread alone. `loop` outlives it, and has ended when it is destroyed: either start() failed, or stop()
// was awaited and the loop ran out of work.
class Daemon {
 public:
  struct Start {
    config::Loaded loaded;
    config::LoadRequest request;  // that it was loaded by, for reloads
    PassedSockets passed;         // where there are any, listen.* opens nothing
    policy::TerminationTimes termination_times{};
  };
  Daemon(boost::asio::io_context& loop, Start start);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Makes its folders and opens the sockets; from then on the API answers, and everything else warms up behind it.
  // systemd is told. On an error nothing was started.
  Result<void> start();

  // Runs the loop until it is out of work. What throws out of a handler is logged (within a bound) and counted, and the
  // loop goes on: a request or a file of somebody else must not end what guards the host.
  void run_loop();

  // Loads the configuration again, soon; a bad one changes nothing.
  void reload();

  // Takes no more requests, lets those that run finish for a moment, then ends everything. Containers and leases stay.
  boost::asio::awaitable<void> stop();

 private:
  struct Components;
  std::unique_ptr<Components> components_;
};

}  // namespace buildwarden
