#include "daemon/api/request_turns.h"

#include <gmock/gmock.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace buildwarden::api {
namespace {

using ::testing::ElementsAre;

struct Begun {
  RequestTurns& turns;
  std::vector<std::string>& order;
};

boost::asio::awaitable<void> begin(Begun where, PeerKey who) {
  const bool may = co_await where.turns.wait(who);
  if (may) where.order.push_back(who.name);
}

// Each turn takes `each`.
std::function<RequestTurns::Instant()> clock_of(std::chrono::milliseconds each) {
  return [now = RequestTurns::Instant{}, each]() mutable { return now += each; };
}

TEST(RequestTurns, PeersTakeTurnsAndRootDoesNotWait) {
  boost::asio::io_context loop;
  RequestTurns turns(loop.get_executor(), clock_of(std::chrono::milliseconds{10}));
  std::vector<std::string> order;
  const auto ask = [&](const PeerKey& who) {
    const Begun where{turns, order};
    boost::asio::co_spawn(loop, begin(where, who), boost::asio::detached);
  };
  for (int i = 0; i < 4; ++i) ask({"a"});
  ask({"b"});
  ask({"c"});
  ask(PeerKey::of_uid(0));
  loop.poll_one();  // the first begins
  EXPECT_THAT(order, ElementsAre("a"));
  loop.run();
  EXPECT_THAT(order, ElementsAre("a", "uid 0", "b", "c", "a", "a", "a"));
}

// What somebody else on the loop sees of 300 requests: how many have begun at each of its turns.
std::vector<std::size_t> begun_by_turn(std::chrono::milliseconds each) {
  boost::asio::io_context loop;
  RequestTurns turns(loop.get_executor(), clock_of(each));
  std::vector<std::string> order;
  const Begun where{turns, order};
  for (int i = 0; i < 300; ++i) boost::asio::co_spawn(loop, begin(where, {"a"}), boost::asio::detached);
  std::vector<std::size_t> seen;
  const std::function<void()> look = [&] {
    seen.push_back(order.size());
    if (order.size() < 300) boost::asio::post(loop, look);
  };
  boost::asio::post(loop, look);
  loop.run();
  return seen;
}

TEST(RequestTurns, AsManyAsATurnHasTimeFor) {
  EXPECT_GE(begun_by_turn(std::chrono::milliseconds{10}).size(), 300U) << "one in each long turn";
  const auto quick = begun_by_turn(std::chrono::milliseconds{0});
  EXPECT_LT(quick.size(), 60U);
  for (std::size_t i = 1; i < quick.size(); ++i) EXPECT_LE(quick[i] - quick[i - 1], 64U) << "never all at once";
}

}  // namespace
}  // namespace buildwarden::api
