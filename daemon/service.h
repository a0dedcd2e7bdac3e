// What systemd is told of the daemon: ready, reloading, stopping, one line of state, and that the loop still turns.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "common/loop_timer.h"
#include "daemon/ports/builders.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/health.h"

namespace buildwarden {

// "2 builders warm, / 45 % free, ok": of all filesystems the one that is worst off. What is not ready beside builders
// and disks is named.
std::string status_line(const ports::DiskView& disk, const ports::BuildersView& builders,
                        const std::vector<ports::NotReady>& missing);

// Whether the units whose work this is stand down (`/run/buildwarden/active`); `before`: whether they do already.
// A refused reload does not stop the work: the old configuration is in force. Nor does a platform that does not run:
// nobody else makes it run; an instance that is about to be terminated is left to no other tool. An engine, a builder
// or a disk that is away after all was well is not given up either: the units need the engine as well and ask the same
// filesystems, would prune what we keep, and end the agent when one of their steps fails.
bool is_at_work(const std::vector<ports::NotReady>& missing, bool before);

// On the loop's thread alone; outlives run(). Without systemd (no $NOTIFY_SOCKET) it does nothing.
class Service {
 public:
  void ready();
  void reloading();
  void stopping();
  // Sent when it is another one than the last.
  void status(const std::string& line);

  // Feeds the watchdog at half of its limit, from the loop itself, so that a loop that hangs does not feed it. Ends
  // soon after stop(), and at once where nobody watches.
  boost::asio::awaitable<void> run();
  void stop() { loop_timer_.stop(); }

 private:
  LoopTimer loop_timer_;
  std::string line_;
};

}  // namespace buildwarden
