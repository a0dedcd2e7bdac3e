// The order in which requests begin, so that a crowd of one peer's does not stand before another's.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <map>

#include "daemon/api/peer_key.h"

namespace buildwarden::api {

// In each turn of the loop a few requests begin, and of those that wait the peers take turns; root's begin at once. How
// many they are follows from how long a turn took: more while it is short, fewer while others would notice. So root
// waits for as many requests of others as begin in the turns of its own, not for as many as there are connections. For
// the loop's thread alone; the loop has run out of work when it is destroyed.
class RequestTurns {
 public:
  using Instant = std::chrono::steady_clock::time_point;
  explicit RequestTurns(boost::asio::any_io_executor executor,
                        std::function<Instant()> now = std::chrono::steady_clock::now)
      : executor_(std::move(executor)), now_(std::move(now)) {}
  RequestTurns(const RequestTurns&) = delete;
  RequestTurns& operator=(const RequestTurns&) = delete;

  // Until a request of `who` may begin. false: the waiting was cancelled, so it must not. Nothing is kept of who
  // leaves.
  boost::asio::awaitable<bool> wait(PeerKey who);

 private:
  struct Waiter {
    explicit Waiter(const boost::asio::any_io_executor& executor) : timer(executor) {}
    boost::asio::steady_timer timer;
    bool admitted = false;
  };
  class Leaving;
  void begin_turn();
  void end_turn();
  void admit_one();

  boost::asio::any_io_executor executor_;
  std::function<Instant()> now_;
  std::map<PeerKey, std::list<Waiter*>> waiting_;  // none is empty
  PeerKey last_;                                   // who was admitted last
  Instant began_{};                                // the turn of the loop that is under way
  std::size_t most_ = 1;                           // that may begin in a turn
  std::size_t begun_ = 0;                          // in this one; 0: nobody counts the turns
};

}  // namespace buildwarden::api
