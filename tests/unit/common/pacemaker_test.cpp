#include "common/pacemaker.h"

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

class PacemakerTest : public ::testing::Test {
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
    while (!pace_->stopped()) {
      ++turns_;
      co_await pace_->rest(1h);
    }
  }
  std::list<testing::Background> started_;  // outlives the loop, which destroys what rests on it
  asio::io_context loop_;
  std::unique_ptr<Pacemaker> pace_ = std::make_unique<Pacemaker>();
  int turns_ = 0;
};

asio::awaitable<void> fail() {
  throw std::runtime_error("broken");
  co_return;
}

asio::awaitable<void> do_nothing() { co_return; }

TEST_F(PacemakerTest, RestsUntilItIsDue) {
  const auto end = std::chrono::steady_clock::now() + 20ms;
  const auto& rest = start(pace_->rest_until(end));
  loop_.restart();
  loop_.run();
  EXPECT_TRUE(rest.ended());
  EXPECT_GE(std::chrono::steady_clock::now(), end);
}

TEST_F(PacemakerTest, AShortRestIsExact) {
  const auto end = std::chrono::steady_clock::now() + 20ms;
  const auto& rest = start(pace_->rest(20ms));
  loop_.restart();
  loop_.run();
  EXPECT_TRUE(rest.ended());
  EXPECT_GE(std::chrono::steady_clock::now(), end);
}

TEST_F(PacemakerTest, IsWoken) {
  const auto& rest = start(pace_->rest_until(Pacemaker::Instant::max()));
  EXPECT_FALSE(rest.ended());
  pace_->wake();
  poll();
  EXPECT_TRUE(rest.ended());
  EXPECT_FALSE(start(pace_->rest(1h)).ended()) << "it is over with that rest";
}

TEST_F(PacemakerTest, WhatCameDuringATurnEndsTheNextRestAndNoOther) {
  pace_->wake();
  pace_->wake();
  EXPECT_TRUE(start(pace_->rest(1h)).ended());
  EXPECT_FALSE(start(pace_->rest(1h)).ended());
}

TEST_F(PacemakerTest, ARestThatEndsAtOnceLetsOthersRun) {
  bool ran = false;
  asio::post(loop_, [this, &ran] { asio::post(loop_, [&ran] { ran = true; }); });
  pace_->stop();
  start(pace_->rest(1h));
  EXPECT_TRUE(ran);
}

TEST_F(PacemakerTest, OnlyALongRestIsCutShort) {
  pace_->wake_if_longer_than(1min);  // nobody rests, and it is not remembered
  const auto& rest = start(pace_->rest(1h));
  pace_->wake_if_longer_than(2h);
  poll();
  EXPECT_FALSE(rest.ended());
  pace_->wake_if_longer_than(1min);
  poll();
  EXPECT_TRUE(rest.ended());
}

TEST_F(PacemakerTest, StopIsForGood) {
  const auto& rest = start(pace_->rest(1h));
  EXPECT_FALSE(pace_->stopped());
  pace_->stop();
  poll();
  EXPECT_TRUE(rest.ended());
  pace_->stop();
  EXPECT_TRUE(pace_->stopped());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(start(pace_->rest(1h)).ended());
}

TEST_F(PacemakerTest, ACancelledRestEndsAtOnce) {
  auto& rest = start(pace_->rest(1h));
  rest.cancel();
  poll();
  EXPECT_TRUE(rest.ended());
}

TEST_F(PacemakerTest, TurnsOnceAWakeAndEndsWithStop) {
  const auto& run = start(pace_->run(keep_turning()));
  EXPECT_EQ(turns_, 1);
  pace_->wake();
  poll();
  EXPECT_EQ(turns_, 2);
  pace_->stop();
  poll();
  EXPECT_EQ(turns_, 2);
  EXPECT_TRUE(run.ended());
}

TEST_F(PacemakerTest, BreaksItsWorkOffWhereverThatWaits) {
  Pacemaker other;
  const auto& run = start(pace_->run(other.rest(1h)));
  EXPECT_FALSE(run.ended());
  pace_->stop();
  poll();
  EXPECT_TRUE(run.ended());
  EXPECT_EQ(run.failure(), nullptr);
}

TEST_F(PacemakerTest, EndsWithItsWork) { EXPECT_TRUE(start(pace_->run(do_nothing())).ended()); }

TEST_F(PacemakerTest, WhatTheWorkThrowsGoesOn) {
  const auto& run = start(pace_->run(fail()));
  EXPECT_TRUE(run.ended());
  EXPECT_NE(run.failure(), nullptr);
}

TEST_F(PacemakerTest, NothingBeginsAfterStop) {
  pace_->stop();
  EXPECT_TRUE(start(pace_->run(keep_turning())).ended());
  EXPECT_EQ(turns_, 0);
}

// A loop that ends first destroys what rests on it.
TEST_F(PacemakerTest, MayGoBeforeTheLoopThatIsNotRunAnyMore) {
  start(pace_->run(keep_turning()));
  pace_.reset();
}

}  // namespace
}  // namespace buildwarden
