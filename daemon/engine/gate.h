// Lets one coroutine of the loop through at a time.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <memory>
#include <utility>

#include "common/result.h"

namespace buildwarden::engine {

class Gate {
 public:
  // Holding it is being inside. The gate lives longer.
  class Pass {
   public:
    explicit Pass(Gate& gate) : gate_(&gate) {}
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&&) = delete;
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->leave();
    }

   private:
    Gate* gate_;
  };

  // Waits, first come first served, until nobody is inside. kCancelled: the waiting coroutine is to end.
  boost::asio::awaitable<Result<Pass>> enter();

 private:
  struct Waiter;
  void leave();
  bool busy_ = false;
  std::list<std::shared_ptr<Waiter>> waiters_;
};

}  // namespace buildwarden::engine
