#include "daemon/evictors/anonymous_volumes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "daemon/last_use/buildx_builder_use.h"
#include "daemon/last_use/last_use_ledger.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_ended.h"
#include "tests/support/fake_journal.h"
#include "tests/support/reclaim.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::run_on;

const std::string kUnnamed(64, 'a');

class AnonymousVolumesTest : public ::testing::Test {
 protected:
  AnonymousVolumesTest() { testing::run_void(loop_, ledger_.connected(engine_.engine.identity, std::nullopt)); }
  ports::VolumeRecord& add(const std::string& name) {
    auto& volume = ended_.add_volume(name, clock_.now().wall - hours{90});
    volume.labels[std::string(ports::kAnonymousLabel)] = "";
    return volume;
  }
  void learn() { testing::run_void(loop_, use_.learn(engine_.containers)); }
  std::vector<policy::Candidate> list() {
    auto listed = run_on(loop_, rung_.list(turn_));
    EXPECT_TRUE(listed) << listed.error().message();
    return listed ? *listed : std::vector<policy::Candidate>{};
  }
  std::vector<std::string> taken_first() {
    policy::EvictionRules rules;
    rules.age = turn_.age;
    std::vector<std::string> names;
    for (const auto& one : policy::rank(list(), rules, clock_.now()).order) names.push_back(one.name);
    return names;
  }

  testing::FakeClock clock_;
  testing::FakeImageEngine engine_;
  testing::FakeEnded ended_{engine_};
  testing::FakeLedgerStore store_;
  testing::FakeJournal journal_;
  boost::asio::io_context loop_;
  LastUseLedger ledger_{clock_, store_, journal_};
  BuildxBuilderUse use_{BuildxBuilderUse::Parts{ledger_, ended_, clock_}};
  AnonymousVolumes rung_{AnonymousVolumes::Parts{engine_, ended_, engine_, ledger_, clock_}};
  policy::RungTurn turn_{policy::RungId::kAnonymousVolumes, 1, hours{4}};
};

TEST_F(AnonymousVolumesTest, OneThatNobodyUsedForTheAgeGoes) {
  add(kUnnamed);
  learn();
  EXPECT_THAT(taken_first(), ElementsAre()) << "it was seen just now";
  clock_.advance(hours{5});
  EXPECT_THAT(taken_first(), ElementsAre("anonymous volume aaaaaaaaaaaa"));
  const auto taken = run_on(loop_, rung_.evict(list().at(0), turn_));
  ASSERT_TRUE(taken) << taken.error().message();
  EXPECT_THAT(ended_.removed, ElementsAre(kUnnamed));
}

TEST_F(AnonymousVolumesTest, ANamedOneNeverGoesWhateverItIsCalled) {
  add("named");                              // labelled by hand
  add(std::string(64, 'b')).labels.clear();  // as before 23.0: somebody may have named it so
  add(std::string(64, 'c')).labels["com.docker.compose.project"] = "shop";
  add(std::string(64, 'd')).is_plain = false;  // another driver, or with options
  add(std::string(63, 'e'));
  learn();
  clock_.advance(hours{90});
  EXPECT_TRUE(list().empty());
}

TEST_F(AnonymousVolumesTest, OneThatAContainerMountsIsUsedUntilItsEnd) {
  add(kUnnamed);
  ended_.add("web", policy::ContainerState::kExited, clock_.now().wall).volumes = {kUnnamed};
  clock_.advance(hours{9});
  learn();
  EXPECT_EQ(list().at(0).in_use_by, "container web");
  ended_.forget("id-web");
  clock_.advance(hours{3});
  learn();
  EXPECT_THAT(taken_first(), ElementsAre());
  clock_.advance(hours{2});
  EXPECT_THAT(taken_first(), ElementsAre("anonymous volume aaaaaaaaaaaa"));
}

TEST_F(AnonymousVolumesTest, WhatChangedSinceThePlanIsLeftAlone) {
  add(kUnnamed);
  learn();
  clock_.advance(hours{5});
  const auto candidate = list().at(0);
  const auto dropped_now = [&] {
    const auto taken = run_on(loop_, rung_.evict(candidate, turn_));
    EXPECT_TRUE(taken) << taken.error().message();
    EXPECT_THAT(ended_.removed, ElementsAre());
    return taken ? taken->dropped : std::string();
  };
  ended_.add("web", policy::ContainerState::kCreated, clock_.now().wall).volumes = {kUnnamed};
  EXPECT_EQ(dropped_now(), "in use by container web");
  ended_.forget("id-web");
  engine_.engine.identity.root_dir = "/other";
  EXPECT_THAT(dropped_now(), HasSubstr("another engine"));
  engine_.engine.identity.root_dir = "/var/lib/docker";
  ended_.volumes.front().labels.clear();
  EXPECT_EQ(dropped_now(), "already gone") << "it is none of ours to delete";
  ended_.volumes.front().labels[std::string(ports::kAnonymousLabel)] = "";
  ledger_.used(ports::volume_row(kUnnamed), clock_.now().wall, "mounted");
  EXPECT_THAT(dropped_now(), HasSubstr("used since the plan"));
}

TEST_F(AnonymousVolumesTest, DiskKeepCanNameOne) {
  add(kUnnamed);
  learn();
  clock_.advance(hours{5});
  policy::EvictionRules rules;
  rules.keep = {"volume:aaaa*"};
  EXPECT_EQ(policy::rank(list(), rules, clock_.now()).skipped.at(0).rule, "keep");
}

}  // namespace
}  // namespace buildwarden::disk
