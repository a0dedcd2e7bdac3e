#include "common/loop_timer.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <list>
#include <memory>
#include <stdexcept>

#include "tests/support/loop.h"

namespace buildwarden {
namespace {
namespace asio = boost::asio;
using namespace std::chrono_literals;

class LoopTimerTest : public ::testing::Test {
 protected:
  testing::Background& start(asio::awaitable<void> work) {
    started_.emplace_back(loop_, std::move(work));
    poll();
    return started_.back();
  }
  void poll() {
    loop_.restart();
    loop_.poll();
  }
  asio::awaitable<void> keep_turning() {
    while (!loop_timer_->stopped()) {
      ++turns_;
      co_await loop_timer_->sleep_for(1h);
    }
  }
  std::list<testing::Background> started_;  // outlives the loop, which destroys what rests on it
  asio::io_context loop_;
  std::unique_ptr<LoopTimer> loop_timer_ = std::make_unique<LoopTimer>();
  int turns_ = 0;
};

asio::awaitable<void> fail() {
  throw std::runtime_error("broken");
  co_return;
}

asio::awaitable<void> do_nothing() { co_return; }

TEST_F(LoopTimerTest, RestsUntilItIsDue) {
  const auto end = std::chrono::steady_clock::now() + 20ms;
  const auto& rest = start(loop_timer_->sleep_until(end));
  loop_.restart();
  loop_.run();
  EXPECT_TRUE(rest.ended());
  EXPECT_GE(std::chrono::steady_clock::now(), end);
}

TEST_F(LoopTimerTest, AShortRestIsExact) {
  const auto end = std::chrono::steady_clock::now() + 20ms;
  const auto& rest = start(loop_timer_->sleep_for(20ms));
  loop_.restart();
  loop_.run();
  EXPECT_TRUE(rest.ended());
  EXPECT_GE(std::chrono::steady_clock::now(), end);
}

TEST_F(LoopTimerTest, IsWoken) {
  const auto& rest = start(loop_timer_->sleep_until(LoopTimer::Instant::max()));
  EXPECT_FALSE(rest.ended());
  loop_timer_->wake();
  poll();
  EXPECT_TRUE(rest.ended());
  EXPECT_FALSE(start(loop_timer_->sleep_for(1h)).ended()) << "it is over with that rest";
}

TEST_F(LoopTimerTest, WhatCameDuringATurnEndsTheNextRestAndNoOther) {
  loop_timer_->wake();
  loop_timer_->wake();
  EXPECT_TRUE(start(loop_timer_->sleep_for(1h)).ended());
  EXPECT_FALSE(start(loop_timer_->sleep_for(1h)).ended());
}

TEST_F(LoopTimerTest, ARestThatEndsAtOnceLetsOthersRun) {
  bool ran = false;
  asio::post(loop_, [this, &ran] { asio::post(loop_, [&ran] { ran = true; }); });
  loop_timer_->stop();
  start(loop_timer_->sleep_for(1h));
  EXPECT_TRUE(ran);
}

TEST_F(LoopTimerTest, OnlyALongRestIsCutShort) {
  loop_timer_->wake_if_longer_than(1min);  // nobody rests, and it is not remembered
  const auto& rest = start(loop_timer_->sleep_for(1h));
  loop_timer_->wake_if_longer_than(2h);
  poll();
  EXPECT_FALSE(rest.ended());
  loop_timer_->wake_if_longer_than(1min);
  poll();
  EXPECT_TRUE(rest.ended());
}

TEST_F(LoopTimerTest, StopIsForGood) {
  const auto& rest = start(loop_timer_->sleep_for(1h));
  EXPECT_FALSE(loop_timer_->stopped());
  loop_timer_->stop();
  poll();
  EXPECT_TRUE(rest.ended());
  loop_timer_->stop();
  EXPECT_TRUE(loop_timer_->stopped());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(start(loop_timer_->sleep_for(1h)).ended());
}

TEST_F(LoopTimerTest, ACancelledRestEndsAtOnce) {
  auto& rest = start(loop_timer_->sleep_for(1h));
  rest.cancel();
  poll();
  EXPECT_TRUE(rest.ended());
}

TEST_F(LoopTimerTest, TurnsOnceAWakeAndEndsWithStop) {
  const auto& run = start(loop_timer_->run(keep_turning()));
  EXPECT_EQ(turns_, 1);
  loop_timer_->wake();
  poll();
  EXPECT_EQ(turns_, 2);
  loop_timer_->stop();
  poll();
  EXPECT_EQ(turns_, 2);
  EXPECT_TRUE(run.ended());
}

TEST_F(LoopTimerTest, BreaksItsWorkOffWhereverThatWaits) {
  LoopTimer other;
  const auto& run = start(loop_timer_->run(other.sleep_for(1h)));
  EXPECT_FALSE(run.ended());
  loop_timer_->stop();
  poll();
  EXPECT_TRUE(run.ended());
  EXPECT_EQ(run.failure(), nullptr);
}

TEST_F(LoopTimerTest, EndsWithItsWork) { EXPECT_TRUE(start(loop_timer_->run(do_nothing())).ended()); }

TEST_F(LoopTimerTest, WhatTheWorkThrowsGoesOn) {
  const auto& run = start(loop_timer_->run(fail()));
  EXPECT_TRUE(run.ended());
  EXPECT_NE(run.failure(), nullptr);
}

TEST_F(LoopTimerTest, NothingBeginsAfterStop) {
  loop_timer_->stop();
  EXPECT_TRUE(start(loop_timer_->run(keep_turning())).ended());
  EXPECT_EQ(turns_, 0);
}

// A loop that ends first destroys what rests on it.
TEST_F(LoopTimerTest, MayGoBeforeTheLoopThatIsNotRunAnyMore) {
  start(loop_timer_->run(keep_turning()));
  loop_timer_.reset();
}

}  // namespace
}  // namespace buildwarden
