#include "common/stoppable.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <stdexcept>

namespace buildwarden {
namespace {
namespace asio = boost::asio;

enum class Work { kWaits, kEnds, kThrows };

asio::awaitable<void> work(asio::io_context* loop, Work kind) {
  if (kind == Work::kThrows) throw std::runtime_error("broken");
  asio::steady_timer timer(*loop, std::chrono::hours{1});
  if (kind == Work::kWaits) co_await timer.async_wait(asio::use_awaitable);
}

class StoppableTest : public ::testing::Test {
 protected:
  void start(Work kind) {
    auto all = run_stoppable(work(&loop_, kind), stop_.slot());
    asio::co_spawn(loop_, std::move(all), [this](const std::exception_ptr& failure) {
      ended_ = true;
      failed_ = failure != nullptr;
    });
    loop_.poll();
  }
  asio::io_context loop_;
  asio::cancellation_signal stop_;
  bool ended_ = false;
  bool failed_ = false;
};

TEST_F(StoppableTest, IsBrokenOffWhereItWaitsAndThatIsNoFailure) {
  start(Work::kWaits);
  EXPECT_FALSE(ended_);
  stop_.emit(asio::cancellation_type::terminal);
  loop_.poll();
  EXPECT_TRUE(ended_);
  EXPECT_FALSE(failed_);
}

TEST_F(StoppableTest, EndsWithItsWork) {
  start(Work::kEnds);
  EXPECT_TRUE(ended_);
  EXPECT_FALSE(failed_);
}

TEST_F(StoppableTest, WhatTheWorkThrowsGoesOn) {
  start(Work::kThrows);
  EXPECT_TRUE(ended_);
  EXPECT_TRUE(failed_);
}

}  // namespace
}  // namespace buildwarden
