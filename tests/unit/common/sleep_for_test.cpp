#include "common/loop_timer.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>

#include "tests/support/loop.h"

namespace buildwarden {
namespace {
using namespace std::chrono_literals;

TEST(SleepForTest, IsWaitedToItsEnd) {
  boost::asio::io_context loop;
  const auto end = std::chrono::steady_clock::now() + 20ms;
  EXPECT_TRUE(testing::run_on(loop, sleep_for(20ms)));
  EXPECT_GE(std::chrono::steady_clock::now(), end);
}

boost::asio::awaitable<void> keep(bool* whole) { *whole = co_await sleep_for(1h); }

TEST(SleepForTest, IsCutShortByACancellation) {
  bool whole = true;
  boost::asio::io_context loop;
  testing::Background pausing(loop, keep(&whole));
  loop.poll();
  EXPECT_FALSE(pausing.ended());
  pausing.cancel();
  testing::run_until(loop, [&] { return pausing.ended(); });
  EXPECT_FALSE(whole);
}

}  // namespace
}  // namespace buildwarden
