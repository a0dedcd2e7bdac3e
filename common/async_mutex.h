// One at a time, first come first served, for coroutines of one loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>

#include "common/units.h"

namespace buildwarden {

// Must outlive everyone who waits in it or holds a Guard.
class AsyncMutex {
 public:
  // Whoever holds it is alone; letting go of it admits the next one.
  class Guard {
   public:
    explicit Guard(AsyncMutex* mutex) : mutex_(mutex) {}
    Guard(Guard&& other) noexcept : mutex_(other.mutex_) { other.mutex_ = nullptr; }
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (mutex_ != nullptr) mutex_->unlock();
    }

   private:
    AsyncMutex* mutex_;
  };

  AsyncMutex() = default;
  AsyncMutex(const AsyncMutex&) = delete;
  AsyncMutex& operator=(const AsyncMutex&) = delete;

  // Nothing when `patience` ended first, or the waiting coroutine was cancelled.
  boost::asio::awaitable<std::optional<Guard>> lock(Duration patience);
  // Without a bound: nothing only when the waiting coroutine was cancelled.
  boost::asio::awaitable<std::optional<Guard>> lock() { return lock(kForever); }
  [[nodiscard]] bool is_locked() const { return locked_; }
  [[nodiscard]] bool has_waiters() const { return !waiting_.empty(); }

 private:
  static constexpr Duration kForever = std::chrono::hours{24 * 365};
  struct Waiter {
    explicit Waiter(const boost::asio::any_io_executor& executor) : timer(executor) {}
    boost::asio::steady_timer timer;
    bool owns = false;
  };
  class WaiterPlace;
  void unlock();

  std::deque<std::shared_ptr<Waiter>> waiting_;
  bool locked_ = false;
};

}  // namespace buildwarden
