#include "common/async_event.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>

#include "tests/support/loop.h"

namespace buildwarden {
namespace {
using namespace std::chrono_literals;

boost::asio::awaitable<void> listen(AsyncEvent* event, Duration at_most, std::optional<bool>* rang) {
  *rang = co_await event->wait(at_most);
}

class AsyncEventTest : public ::testing::Test {
 protected:
  void poll() {
    loop_.restart();
    loop_.poll();
  }
  std::unique_ptr<testing::Background> first_;  // outlive the loop, which destroys those who still wait
  std::unique_ptr<testing::Background> second_;
  AsyncEvent event_;
  boost::asio::io_context loop_;
  std::optional<bool> one_;
  std::optional<bool> other_;
};

TEST_F(AsyncEventTest, WakesAllWhoWaitAndNobodyWhoComesLater) {
  event_.notify_all();
  first_ = std::make_unique<testing::Background>(loop_, listen(&event_, 1h, &one_));
  second_ = std::make_unique<testing::Background>(loop_, listen(&event_, 1h, &other_));
  poll();
  EXPECT_FALSE(one_ || other_);
  event_.notify_all();
  poll();
  EXPECT_EQ(one_, true);
  EXPECT_EQ(other_, true);
  second_ = std::make_unique<testing::Background>(loop_, listen(&event_, 1h, &other_));
  other_.reset();
  poll();
  EXPECT_FALSE(other_);
}

TEST_F(AsyncEventTest, NobodyRingsInTime) {
  first_ = std::make_unique<testing::Background>(loop_, listen(&event_, 1ms, &one_));
  testing::run_until(loop_, [this] { return one_.has_value(); });
  EXPECT_EQ(one_, false);
}

TEST_F(AsyncEventTest, WhoIsCancelledWaitsNoMore) {
  first_ = std::make_unique<testing::Background>(loop_, listen(&event_, 1h, &one_));
  poll();
  first_->cancel();
  poll();
  EXPECT_EQ(one_, false);
  event_.notify_all();
}

}  // namespace
}  // namespace buildwarden
