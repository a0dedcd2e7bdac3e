// Runs coroutines on a test's own loop, with an end to every wait.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <utility>

#include "tests/support/patience.h"

namespace buildwarden::testing {

// Runs the loop until `done` says so; throws when it never does.
inline void run_until(boost::asio::io_context& loop, const std::function<bool()>& done) {
  const auto end = std::chrono::steady_clock::now() + kTestPatience;
  loop.restart();
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("what the test waits for never came");
    if (loop.run_one_until(end) == 0) loop.restart();
  }
}

namespace detail {
template <class T>
boost::asio::awaitable<void> keep(boost::asio::awaitable<T> work, std::optional<T>* into) {
  into->emplace(co_await std::move(work));
}
}  // namespace detail

// Runs `work` to its end on the loop and gives its value; what it throws comes out.
template <class T>
T run_on(boost::asio::io_context& loop, boost::asio::awaitable<T> work) {
  std::optional<T> value;
  std::exception_ptr failure;
  bool ended = false;
  boost::asio::co_spawn(loop, detail::keep(std::move(work), &value), [&](std::exception_ptr error) {
    failure = std::move(error);
    ended = true;
  });
  run_until(loop, [&] { return ended; });
  if (failure) std::rethrow_exception(failure);
  return *std::move(value);
}

// A coroutine that goes on beside the test. The loop must be run to its end, or destroyed, before this is.
class Background {
 public:
  Background(boost::asio::io_context& loop, boost::asio::awaitable<void> work) {
    boost::asio::co_spawn(loop, std::move(work),
                          boost::asio::bind_cancellation_slot(signal_.slot(), [this](const std::exception_ptr& error) {
                            failure_ = error;
                            ended_ = true;
                          }));
  }
  void cancel() { signal_.emit(boost::asio::cancellation_type::terminal); }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] const std::exception_ptr& failure() const { return failure_; }

 private:
  boost::asio::cancellation_signal signal_;
  std::exception_ptr failure_;
  bool ended_ = false;
};

}  // namespace buildwarden::testing
