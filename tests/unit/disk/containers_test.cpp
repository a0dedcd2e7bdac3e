#include "daemon/evictors/containers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <map>
#include <string>

#include "common/format.h"
#include "daemon/evictors/images.h"
#include "daemon/last_use/last_use_ledger.h"
#include "daemon/reclaim/reclaimer.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_ended.h"
#include "tests/support/fake_journal.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {
namespace {

using policy::ContainerState;
using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::run_on;

class EndedContainersTest : public ::testing::Test {
 protected:
  [[nodiscard]] WallTime ago(Duration time) const { return clock_.now().wall - time; }
  std::vector<policy::Candidate> list() {
    auto candidates = run_on(loop_, rung_.list(turn_));
    EXPECT_TRUE(candidates) << candidates.error().message();
    return candidates ? *candidates : std::vector<policy::Candidate>{};
  }
  // What the ladder would take, in its order.
  std::vector<std::string> taken_first() {
    policy::EvictionRules rules;
    rules.age = turn_.age;
    rules.grace = minutes{10};
    rules.oldest_job_start = engine_.in_use_set.oldest_job_start;
    std::vector<std::string> names;
    for (const auto& one : policy::rank(list(), rules, clock_.now()).order) names.push_back(one.name);
    return names;
  }
  // The only candidate, planned now and taken after `meanwhile`.
  Result<ports::EvictionResult> plan_and_take(const std::function<void()>& meanwhile) {
    const auto candidates = list();
    EXPECT_EQ(candidates.size(), 1U);
    meanwhile();
    return run_on(loop_, rung_.evict(candidates.at(0), turn_));
  }
  std::string dropped_after(const std::function<void()>& meanwhile) {
    const auto taken = plan_and_take(meanwhile);
    EXPECT_TRUE(taken) << taken.error().message();
    EXPECT_THAT(ended_.removed, ElementsAre());
    return taken ? taken->dropped : "";
  }

  testing::FakeClock clock_;
  testing::FakeImageEngine engine_;
  testing::FakeEnded ended_{engine_};
  boost::asio::io_context loop_;
  bool steady_ = true;
  std::map<ports::Kept, std::string> devices_{{ports::Kept::kImages, "8:1"}, {ports::Kept::kVolumes, "8:1"}};
  EndedContainers rung_{EndedContainers::Parts{engine_, ended_, engine_, engine_, clock_, [this] { return steady_; },
                                               [this](ports::Kept kept) { return devices_[kept]; }}};
  policy::RungTurn turn_{policy::RungId::kContainers, 1, hours{4}};
};

TEST_F(EndedContainersTest, OnlyWhatEndedLongAgoGoesTheOldestFirst) {
  ended_.add("young", ContainerState::kExited, ago(hours{3}));
  ended_.add("exited", ContainerState::kExited, ago(hours{5}));
  ended_.add("created", ContainerState::kCreated, ago(hours{9}));
  ended_.add("dead", ContainerState::kDead, ago(hours{7}));
  ended_.add("running", ContainerState::kRunning, ago(hours{90}));
  ended_.add("paused", ContainerState::kPaused, ago(hours{90}));
  ended_.add("restarting", ContainerState::kRestarting, ago(hours{90}));
  EXPECT_THAT(taken_first(),
              ElementsAre("container created (never started)", "container dead (dead)", "container exited (exited)"));
}

TEST_F(EndedContainersTest, NeverOursNorABuilderNorWhatComesBack) {
  ended_.add("ours", ContainerState::kExited, ago(hours{9})).labels[std::string(ports::kOwnerLabel)] = ports::kOwner;
  ended_.add("held", ContainerState::kExited, ago(hours{9}));
  engine_.in_use_set.container_names.insert("held");
  ended_.add("buildx_buildkit_ci0", ContainerState::kExited, ago(hours{9}));
  ended_.add("service", ContainerState::kExited, ago(hours{9}));
  ended_.details["id-service"].comes_back = true;
  EXPECT_THAT(taken_first(), ElementsAre());
  EXPECT_THAT(ended_.measured, ElementsAre()) << "only what may go is measured";
  EXPECT_EQ(list().size(), 4U);
}

TEST_F(EndedContainersTest, WhatEndedSinceTheOldestJobBeganStays) {
  ended_.add("job", ContainerState::kExited, ago(hours{5}));
  engine_.in_use_set.oldest_job_start = ago(hours{6});
  EXPECT_THAT(taken_first(), ElementsAre());
}

TEST_F(EndedContainersTest, StampsOfTheFutureAndAnUntrustedClockMakeNothingOld) {
  ended_.add("future", ContainerState::kExited, ago(-hours{5}));
  EXPECT_THAT(taken_first(), ElementsAre());
  ended_.add("old", ContainerState::kExited, ago(hours{5}));
  steady_ = false;
  EXPECT_TRUE(list().empty());
}

TEST_F(EndedContainersTest, ItIsRemovedWithItsMeasuredSize) {
  ended_.add("old", ContainerState::kExited, ago(hours{5}));
  const auto taken = plan_and_take([] {});
  ASSERT_TRUE(taken) << taken.error().message();
  EXPECT_EQ(taken->dropped, "");
  EXPECT_EQ(taken->reported, 100);
  EXPECT_THAT(ended_.removed, ElementsAre("id-old"));
}

TEST_F(EndedContainersTest, WhatChangedSinceThePlanIsLeftAlone) {
  ended_.add("old", ContainerState::kExited, ago(hours{5}));
  auto& described = ended_.details["id-old"];
  const auto before = described;
  EXPECT_EQ(dropped_after([&] { described.state = ContainerState::kRunning; }), "it runs again");
  described = before;
  EXPECT_THAT(dropped_after([&] { described.last_active = ago(minutes{1}); }), HasSubstr("used since the plan"));
  described = before;
  EXPECT_THAT(dropped_after([&] { described.comes_back = true; }), HasSubstr("restart policy"));
  described = before;
  EXPECT_THAT(dropped_after([&] { engine_.in_use_set.container_names.insert("old"); }), "protected: held as old");
  engine_.in_use_set.container_names.clear();
  EXPECT_THAT(dropped_after([&] { engine_.engine.identity.root_dir = "/other"; }), HasSubstr("another engine"));
  engine_.engine.identity.root_dir = "/var/lib/docker";
  EXPECT_THAT(dropped_after([&] { engine_.engine.up = false; }), HasSubstr("engine went down"));
  engine_.engine.up = true;
  EXPECT_THAT(dropped_after([&] { ended_.forget("id-old"); }), "already gone");
}

TEST_F(EndedContainersTest, TheEnginesRefusalIsAResultAndItsFailureIsNot) {
  ended_.add("old", ContainerState::kExited, ago(hours{5}));
  ended_.refusal = Error(Errc::kConflict, "it is running");
  EXPECT_THAT(dropped_after([] {}), HasSubstr("in use"));
  ended_.refusal = Error(Errc::kUnavailable, "500");
  EXPECT_FALSE(plan_and_take([] {}));
}

TEST_F(EndedContainersTest, WithoutAnEngineThereIsNoPlan) {
  engine_.engine.up = false;
  const auto candidates = run_on(loop_, rung_.list(turn_));
  ASSERT_FALSE(candidates);
  EXPECT_EQ(candidates.error().code(), Errc::kUnavailable);
  engine_.engine.up = true;
  engine_.fail.emplace("containers", Error(Errc::kTimeout, "slow"));
  EXPECT_FALSE(run_on(loop_, rung_.list(turn_)));
}

// As with containerd's store, or volumes, on a disk of their own.
TEST_F(EndedContainersTest, EachNamesTheDiskThatItFrees) {
  const std::string unnamed(64, 'a');
  ended_.add("plain", ContainerState::kExited, ago(hours{9}));
  ended_.add("named", ContainerState::kExited, ago(hours{8})).volumes = {"cache"};
  ended_.add("with", ContainerState::kExited, ago(hours{7})).volumes = {unnamed, "cache"};
  const auto devices = [this] {
    std::string all;
    for (const auto& one : list()) all += format("{}={} ", one.name, one.device);
    return all;
  };
  EXPECT_EQ(devices(),
            "container plain (exited)=8:1 container named (exited)=8:1 "
            "container with (exited, with its anonymous volumes)=8:1 ");
  devices_[ports::Kept::kImages] = "8:2";
  EXPECT_EQ(devices(),
            "container plain (exited)=8:2 container named (exited)=8:2 "
            "container with (exited, with its anonymous volumes)= ");
  devices_[ports::Kept::kImages] = "";
  EXPECT_EQ(devices(), "container with (exited, with its anonymous volumes)=8:1 ")
      << "of the others nobody knows what they would free";
  EXPECT_TRUE(list().front().is_unsized);
}

TEST_F(EndedContainersTest, WhatDiskKeepNamesStays) {
  ended_.add("web", ContainerState::kExited, ago(hours{9}));
  policy::EvictionRules rules;
  const auto kept = [&](const std::string& pattern) {
    rules.keep = {pattern};
    const auto ranking = policy::rank(list(), rules, clock_.now());
    return !ranking.skipped.empty() && ranking.skipped.front().rule == "keep";
  };
  EXPECT_TRUE(kept("container:we?"));
  EXPECT_FALSE(kept("web")) << "a pattern over images";
  EXPECT_FALSE(kept("*"));
  EXPECT_FALSE(kept("network:web"));
}

// What a container that would be gone held is free in a dry run, too: both runs plan the same.
class LowDisk final : public ports::FilesystemProbe {
 public:
  boost::asio::awaitable<std::vector<ports::FilesystemSnapshot>> measure() override {
    ports::FilesystemSnapshot docker;
    docker.device = "8:1";
    docker.mount = "/docker";
    docker.roles = {"data_root"};
    docker.keeps = {ports::Kept::kImages, ports::Kept::kVolumes};
    docker.marks.target = 1'000;
    docker.pressure.level = policy::Level::kLow;
    docker.reading.emplace();
    docker.reading->total = 10'000;
    docker.reading->free = free;
    std::vector<ports::FilesystemSnapshot> all;
    all.push_back(docker);
    co_return all;
  }
  Bytes free = 100;
};

TEST_F(EndedContainersTest, ADryRunPlansWhatItsImageWouldFree) {
  testing::FakeLedgerStore store;
  testing::FakeJournal journal;
  LastUseLedger ledger{clock_, store, journal};
  LowDisk disk;
  engine_.freed = [&disk](Bytes bytes) { disk.free += bytes; };
  engine_.add_image("sha256:old", {"old:1"}, 400);
  testing::run_void(loop_, ledger.connected(engine_.engine.identity, std::nullopt));
  testing::run_void(loop_, ledger.seen(engine_.ids()));
  clock_.advance(hours{6});
  ended_.add("old", ContainerState::kExited, ago(hours{5}));
  UnusedImages images{ImageInUseCheck::Parts{engine_, engine_, engine_, engine_, ledger, clock_}};
  Settings settings;
  ReclaimPace pace;
  pace.settle = Duration{5};
  Reclaimer reclaimer{Reclaimer::Parts{settings, clock_, journal, engine_, disk, {&rung_, &images}, pace, {}, {}}};
  std::vector<std::vector<std::string>> plans;
  for (const bool dry_run : {true, false}) {
    ports::SpaceRequest request;
    request.wait = minutes{5};
    request.dry_run = dry_run;
    const auto result = run_on(loop_, reclaimer.ensure(request, {}));
    ASSERT_TRUE(result) << result.error().message();
    plans.emplace_back();
    for (const auto& step : result->steps) plans.back().push_back(step.what);
  }
  EXPECT_THAT(plans[0], ElementsAre("container old (exited)", "old:1"));
  EXPECT_EQ(plans[0], plans[1]);
}

}  // namespace
}  // namespace buildwarden::disk
