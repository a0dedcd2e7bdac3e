#include "daemon/evictors/networks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "daemon/last_use/network_use.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_ended.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {
namespace {

using policy::ContainerState;
using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::run_on;

class EmptyNetworksTest : public ::testing::Test {
 protected:
  // Watched for five hours, with a network that is older than that.
  EmptyNetworksTest() {
    engine_.engine.up = true;
    use_.on_connected();
    ended_.add_network("ci", clock_.now().wall - hours{1});
    clock_.advance(hours{5});
  }
  std::vector<policy::Candidate> list() {
    auto candidates = run_on(loop_, rung_.list(turn_));
    EXPECT_TRUE(candidates) << candidates.error().message();
    return candidates ? *candidates : std::vector<policy::Candidate>{};
  }
  std::vector<std::string> taken_first() {
    policy::EvictionRules rules;
    rules.age = turn_.age;
    std::vector<std::string> names;
    for (const auto& one : policy::rank(list(), rules, clock_.now()).order) names.push_back(one.name);
    return names;
  }
  void event(const std::string& action) {
    ports::EngineEvent event;
    event.type = "network";
    event.action = action;
    event.id = "id-ci";
    use_.on_event(event);
  }
  std::string dropped_after(const std::function<void()>& meanwhile) {
    const auto candidates = list();
    EXPECT_EQ(candidates.size(), 1U);
    meanwhile();
    const auto taken = run_on(loop_, rung_.evict(candidates.at(0), turn_));
    EXPECT_TRUE(taken) << taken.error().message();
    return taken ? taken->dropped : "";
  }

  testing::FakeClock clock_;
  testing::FakeImageEngine engine_;
  testing::FakeEnded ended_{engine_};
  boost::asio::io_context loop_;
  NetworkUse use_{clock_};
  EmptyNetworks rung_{EmptyNetworks::Parts{ended_, engine_, engine_, use_, clock_}};
  policy::RungTurn turn_{policy::RungId::kContainers, 1, hours{4}};
};

TEST_F(EmptyNetworksTest, WhatWasWatchedEmptyForTheAgeIsRemoved) {
  EXPECT_THAT(taken_first(), ElementsAre("network ci"));
  EXPECT_EQ(dropped_after([] {}), "");
  EXPECT_THAT(ended_.removed, ElementsAre("id-ci"));
}

TEST_F(EmptyNetworksTest, AnyUseStartsItsAgeAnew) {
  for (const char* action : {"connect", "disconnect", "create"}) {
    event(action);
    EXPECT_THAT(taken_first(), ElementsAre()) << action;
    clock_.advance(hours{4});
    EXPECT_THAT(taken_first(), ElementsAre("network ci")) << action;
  }
}

TEST_F(EmptyNetworksTest, WhatWasNotWatchedIsNotOld) {
  use_.on_lost();
  EXPECT_THAT(taken_first(), ElementsAre());
  use_.on_connected();
  EXPECT_THAT(taken_first(), ElementsAre());
  clock_.advance(hours{4});
  EXPECT_THAT(taken_first(), ElementsAre("network ci"));
}

TEST_F(EmptyNetworksTest, OneThatIsYoungerThanTheWatchIsNotOld) {
  ended_.networks.front().created = clock_.now().wall - hours{3};
  EXPECT_THAT(taken_first(), ElementsAre());
}

TEST_F(EmptyNetworksTest, AnyContainerThatNamesItKeepsIt) {
  for (const auto state : {ContainerState::kRunning, ContainerState::kExited, ContainerState::kCreated}) {
    for (const char* by : {"ci", "id-ci"}) {
      ended_.add("web", state, {}).networks.insert(by);
      const auto candidates = list();
      ASSERT_EQ(candidates.size(), 1U);
      EXPECT_EQ(candidates[0].in_use_by, "container web");
      ended_.forget("id-web");
      EXPECT_THAT(taken_first(), ElementsAre()) << "it was in use until a moment ago";
      clock_.advance(hours{4});
    }
  }
  EXPECT_THAT(taken_first(), ElementsAre("network ci"));
}

TEST_F(EmptyNetworksTest, ADryRunsGoneContainersHoldNothing) {
  ended_.add("web", ContainerState::kExited, {}).networks.insert("ci");
  turn_.pretended = std::make_shared<policy::DryRunState>(policy::DryRunState{{"id-web"}, {"id-web"}});
  EXPECT_THAT(taken_first(), ElementsAre("network ci"));
}

TEST_F(EmptyNetworksTest, NeverOneOfAComposeProjectThatHasContainers) {
  ended_.networks.front().labels["com.docker.compose.project"] = "shop";
  auto& db = ended_.add("db", ContainerState::kExited, {});
  db.labels["com.docker.compose.project"] = "shop";
  EXPECT_THAT(taken_first(), ElementsAre());
  EXPECT_EQ(list()[0].in_use_by, "container db of compose project shop");
}

TEST_F(EmptyNetworksTest, NeverTheEnginesNorOurs) {
  ended_.networks.front().made_by_engine = true;
  EXPECT_TRUE(list().empty());
  ended_.networks.front().made_by_engine = false;
  ended_.networks.front().labels[std::string(ports::kOwnerLabel)] = ports::kOwner;
  EXPECT_THAT(taken_first(), ElementsAre());
}

TEST_F(EmptyNetworksTest, WhatChangedSinceThePlanIsLeftAlone) {
  EXPECT_EQ(dropped_after([&] { ended_.add("web", ContainerState::kCreated, {}).networks.insert("ci"); }),
            "in use by container web");
  ended_.forget("id-web");
  clock_.advance(hours{4});
  EXPECT_THAT(dropped_after([&] { event("connect"); }), HasSubstr("used since the plan"));
  clock_.advance(hours{4});
  EXPECT_THAT(dropped_after([&] { use_.on_lost(); }), HasSubstr("used since the plan"));
  use_.on_connected();
  clock_.advance(hours{4});
  EXPECT_THAT(dropped_after([&] { engine_.engine.identity.id = "engine-2"; }), HasSubstr("another engine"));
  ended_.refusal = Error(Errc::kDenied, "has active endpoints");
  EXPECT_THAT(dropped_after([] {}), HasSubstr("has active endpoints"));
  EXPECT_EQ(dropped_after([&] { ended_.networks.clear(); }), "already gone");
  EXPECT_THAT(ended_.removed, ElementsAre());
}

}  // namespace
}  // namespace buildwarden::disk
