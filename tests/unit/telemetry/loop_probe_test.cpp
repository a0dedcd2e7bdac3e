#include "daemon/telemetry/loop_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <thread>
#include <vector>

namespace buildwarden::telemetry {
namespace {

using namespace std::chrono_literals;
using ::testing::DoubleEq;
using ::testing::ElementsAre;
using Instant = LoopProbe::Instant;

struct LoopProbeTest : ::testing::Test {
  boost::asio::io_context loop;
  std::vector<double> reported;
  std::chrono::milliseconds pace = 10ms;
  LoopProbe probe{loop.get_executor(), [this](auto lateness) { reported.push_back(lateness.count()); },
                  [this] { return pace; }};
};

TEST_F(LoopProbeTest, ReportsTheLatenessAndKeepsTheTick) {
  const Instant start;
  EXPECT_EQ(probe.turn(start, start + 3ms), start + 10ms);
  EXPECT_EQ(probe.turn(start + 10ms, start + 10ms), start + 20ms);
  EXPECT_THAT(reported, ElementsAre(DoubleEq(0.003), DoubleEq(0)));
}

TEST_F(LoopProbeTest, DoesNotMakeUpForWhatAStallSwallowed) {
  const Instant start;
  EXPECT_EQ(probe.turn(start, start + 95ms), start + 100ms);
  EXPECT_EQ(probe.turn(start + 1s, start), start + 1010ms);  // early counts as in time
  EXPECT_THAT(reported, ElementsAre(DoubleEq(0.095), DoubleEq(0)));
}

TEST_F(LoopProbeTest, FollowsThePaceAndMeetsOthersOfIt) {
  const Instant start;
  pace = 2s;
  EXPECT_EQ(probe.turn(start + 10ms, start + 11ms), start + 2s);
  pace = 20ms;
  EXPECT_EQ(probe.turn(start + 2s, start + 2s), start + 2020ms);
  EXPECT_THAT(reported, ElementsAre(DoubleEq(0.001), DoubleEq(0)));
}

TEST_F(LoopProbeTest, SeesALoopThatIsHeldUpAndEndsWhenStopped) {
  boost::asio::co_spawn(loop, probe.run(), boost::asio::detached);
  loop.poll();
  const auto before = reported.size();  // more than none where the machine is slow
  std::this_thread::sleep_for(30ms);    // the stall itself
  while (reported.size() == before) loop.run_one();
  EXPECT_GE(reported.back(), 0.015);
  probe.stop();
  loop.run();  // returns: nothing is left to wait for
  EXPECT_TRUE(loop.stopped());
}

}  // namespace
}  // namespace buildwarden::telemetry
