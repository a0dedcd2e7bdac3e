// One at a time, first come first served, for coroutines of one loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>

#include "common/units.h"

namespace buildwarden {

// Must outlive everyone who waits in it or holds a Pass.
class Turnstile {
 public:
  // Whoever holds it is alone; letting go of it admits the next one.
  class Pass {
   public:
    explicit Pass(Turnstile* turnstile) : turnstile_(turnstile) {}
    Pass(Pass&& other) noexcept : turnstile_(other.turnstile_) { other.turnstile_ = nullptr; }
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (turnstile_ != nullptr) turnstile_->leave();
    }

   private:
    Turnstile* turnstile_;
  };

  Turnstile() = default;
  Turnstile(const Turnstile&) = delete;
  Turnstile& operator=(const Turnstile&) = delete;

  // Nothing when `patience` ended first, or the waiting coroutine was cancelled.
  boost::asio::awaitable<std::optional<Pass>> enter(Duration patience);
  // Without a bound: nothing only when the waiting coroutine was cancelled.
  boost::asio::awaitable<std::optional<Pass>> enter() { return enter(kForever); }
  [[nodiscard]] bool busy() const { return busy_; }
  [[nodiscard]] bool is_awaited() const { return !waiting_.empty(); }

 private:
  static constexpr Duration kForever = std::chrono::hours{24 * 365};
  struct Waiter {
    explicit Waiter(const boost::asio::any_io_executor& executor) : timer(executor) {}
    boost::asio::steady_timer timer;
    bool admitted = false;
  };
  class Place;
  void leave();

  std::deque<std::shared_ptr<Waiter>> waiting_;
  bool busy_ = false;
};

}  // namespace buildwarden
