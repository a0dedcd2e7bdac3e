#include "daemon/evictors/orphaned_builders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "daemon/last_use/last_use_ledger.h"
#include "daemon/last_use/last_use_recorder.h"
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

class FakeOwners final : public ports::BuilderOwners {
 public:
  std::map<std::string, std::string> known;
  std::optional<Error> error;
  ports::Async<std::map<std::string, std::string>> owners() override {
    if (error) co_return *error;
    co_return known;
  }
};

// A builder that a job left behind ten hours ago, and the daemon has seen it for five of them.
class OrphanedBuildersTest : public ::testing::Test {
 protected:
  OrphanedBuildersTest() {
    auto& container = ended_.add("buildx_buildkit_job0", ContainerState::kRunning, ago(hours{10}));
    container.volumes = {"buildx_buildkit_job0_state"};
    ended_.add_volume("buildx_buildkit_job0_state", ago(hours{10}));
    recorder_.on_connected(engine_.engine.identity, std::nullopt);
    learn();
    clock_.advance(hours{5});
  }
  [[nodiscard]] WallTime ago(Duration time) const { return clock_.now().wall - time; }
  void learn() { EXPECT_TRUE(run_on(loop_, recorder_.turn())); }
  ports::ContainerRecord& container() { return engine_.containers.front(); }
  ports::ContainerDetails& details() { return ended_.details.at("id-buildx_buildkit_job0"); }
  void use(const std::string& action, const std::string& owner = "") {
    ports::EngineEvent event;
    event.type = "container";
    event.action = action;
    event.id = "id-buildx_buildkit_job0";
    event.at = clock_.now().wall;
    event.attributes = {{"name", "buildx_buildkit_job0"}, {"image", "moby/buildkit:buildx-stable-1"}};
    if (!owner.empty()) event.attributes["com.buildwarden.owner"] = owner;
    recorder_.on_event(event);
  }
  std::vector<policy::Candidate> list() {
    auto candidates = run_on(loop_, rung_.list(turn_));
    EXPECT_TRUE(candidates) << candidates.error().message();
    return candidates ? *candidates : std::vector<policy::Candidate>{};
  }
  policy::Ranking ranked() {
    policy::EvictionRules rules;
    rules.age = turn_.age;
    rules.keep = keep_;
    rules.oldest_job_start = engine_.in_use_set.oldest_job_start;
    return policy::rank(list(), rules, clock_.now());
  }
  std::vector<std::string> taken_first() {
    std::vector<std::string> ids;
    for (const auto& one : ranked().order) ids.push_back(one.id);
    return ids;
  }
  // Why the only candidate is left alone; "" when it is not.
  std::string spared_by() {
    const auto ranking = ranked();
    EXPECT_EQ(ranking.skipped.size() + ranking.order.size(), 1U);
    return ranking.skipped.empty() ? "" : ranking.skipped.front().rule + ": " + ranking.skipped.front().why;
  }
  std::string dropped_after(const std::function<void()>& meanwhile) {
    const auto candidates = list();
    EXPECT_EQ(candidates.size(), 1U);
    meanwhile();
    const auto taken = run_on(loop_, rung_.evict(candidates.at(0), turn_));
    EXPECT_TRUE(taken) << taken.error().message();
    return taken ? taken->dropped : taken.error().message();
  }

  testing::FakeClock clock_;
  testing::FakeImageEngine engine_;
  testing::FakeEnded ended_{engine_};
  testing::FakeLedgerStore store_;
  testing::FakeJournal journal_;
  boost::asio::io_context loop_;
  LastUseLedger ledger_{clock_, store_, journal_};
  BuildxBuilderUse builder_use_{BuildxBuilderUse::Parts{ledger_, ended_, clock_}};
  WorkerPool workers_{1};
  LastUseRecorder recorder_{LastUseRecorder::Parts{ledger_, engine_, engine_, clock_, workers_, &builder_use_}};
  FakeOwners owners_;
  OrphanedBuilders rung_{OrphanedBuilders::Parts{engine_, ended_, ended_, engine_, engine_, owners_, ledger_, clock_}};
  policy::RungTurn turn_{policy::RungId::kOrphans, 1, hours{4}};
  std::vector<std::string> keep_;
};

constexpr const char* kBuilder = "container id-buildx_buildkit_job0";

TEST_F(OrphanedBuildersTest, ARunningBuilderIsStoppedAndRemovedWithItsVolume) {
  EXPECT_THAT(taken_first(), ElementsAre(kBuilder));
  EXPECT_EQ(dropped_after([] {}), "");
  EXPECT_THAT(ended_.stopped, ElementsAre("id-buildx_buildkit_job0"));
  EXPECT_THAT(ended_.removed, ElementsAre("id-buildx_buildkit_job0", "buildx_buildkit_job0_state"));
}

TEST_F(OrphanedBuildersTest, AnEndedOneIsNotStopped) {
  container().state = details().state = ContainerState::kExited;
  EXPECT_EQ(dropped_after([] {}), "");
  EXPECT_THAT(ended_.stopped, ElementsAre());
  EXPECT_THAT(ended_.removed, ElementsAre("id-buildx_buildkit_job0", "buildx_buildkit_job0_state"));
}

TEST_F(OrphanedBuildersTest, EachThingThatHappensToItIsAUse) {
  for (const char* action : {"exec_start: buildctl dial-stdio", "exec_die", "start", "die"}) {
    use(action);
    EXPECT_THAT(spared_by(), HasSubstr("age: last used 0s ago")) << action;
    clock_.advance(hours{4});
    EXPECT_THAT(taken_first(), ElementsAre(kBuilder)) << action;
  }
  details().last_active = ago(hours{3});
  EXPECT_THAT(spared_by(), HasSubstr("age: last used 3h ago")) << "the engine knows more than its events told";
}

TEST_F(OrphanedBuildersTest, WhatWasNotWatchedForTheAgeIsNotOldWhateverTheEngineSays) {
  auto& other = ended_.add("buildx_buildkit_other0", ContainerState::kExited, ago(hours{100}));
  other.volumes = {};
  EXPECT_THAT(taken_first(), ElementsAre(kBuilder)) << "never seen: used now";
  learn();
  clock_.advance(hours{4});
  EXPECT_EQ(taken_first().size(), 2U);
}

TEST_F(OrphanedBuildersTest, ARestartOfTheDaemonDoesNotMakeItYoungAndWhatHappenedMeanwhileCounts) {
  ports::EngineEvent last;
  last.type = "network";
  last.at = clock_.now().wall;
  recorder_.on_event(last);
  testing::run_void(loop_, ledger_.flush(true));
  clock_.advance(minutes{5});
  LastUseLedger ledger(clock_, store_, journal_);
  BuildxBuilderUse builder_use(BuildxBuilderUse::Parts{ledger, ended_, clock_});
  LastUseRecorder feed(LastUseRecorder::Parts{ledger, engine_, engine_, clock_, workers_, &builder_use});
  OrphanedBuilders rung(OrphanedBuilders::Parts{engine_, ended_, ended_, engine_, engine_, owners_, ledger, clock_});
  EXPECT_EQ(run_on(loop_, rung.list(turn_)).error().code(), Errc::kUnavailable) << "the ledger is not loaded yet";
  last.before_start = true;
  feed.on_event(last);
  ports::EngineEvent build;
  build.type = "container";
  build.action = "exec_start: buildctl dial-stdio";
  build.id = "id-buildx_buildkit_job0";
  build.attributes = {{"name", "buildx_buildkit_job0"}};
  build.at = ago(minutes{2});
  build.before_start = true;
  feed.on_connected(engine_.engine.identity, std::nullopt);
  EXPECT_TRUE(run_on(loop_, feed.turn()));
  const auto row = ports::builder_row("id-buildx_buildkit_job0");
  EXPECT_EQ(policy::age_of(ledger.last_use(row, clock_.now()), clock_.now()), hours{5});
  feed.on_event(build);
  EXPECT_TRUE(run_on(loop_, feed.turn()));
  EXPECT_EQ(ledger.last_use(row, clock_.now()).at, ago(minutes{2}));
}

TEST_F(OrphanedBuildersTest, NobodysElseIsTouched) {
  container().labels["com.buildwarden.owner"] = "buildwarden";
  EXPECT_THAT(list(), ElementsAre()) << "a front";
  container().labels.clear();
  engine_.in_use_set.container_names = {"buildx_buildkit_job0"};
  EXPECT_THAT(spared_by(), HasSubstr("protected: protected: held as"));
  engine_.in_use_set.container_names.clear();
  owners_.known["buildx_buildkit_job0"] = "instance job of /home/ann";
  EXPECT_THAT(spared_by(), HasSubstr("instance job of /home/ann"));
  owners_.known.clear();
  container().labels["com.docker.compose.project"] = "shop";
  EXPECT_THAT(spared_by(), HasSubstr("compose"));
  container().labels.clear();
  details().commands = 1;
  EXPECT_THAT(spared_by(), HasSubstr("in_use: in use by 1 commands"));
  details().commands = 0;
  for (const auto state : {ContainerState::kPaused, ContainerState::kRestarting}) {
    details().state = state;
    EXPECT_THAT(spared_by(), HasSubstr("protected"));
  }
  details().state = ContainerState::kRunning;
  for (const char* pattern : {"buildx_buildkit_job*", "*_state"}) {
    keep_ = {pattern};
    EXPECT_THAT(spared_by(), HasSubstr("keep")) << pattern;
  }
  keep_.clear();
  engine_.in_use_set.oldest_job_start = ago(hours{6});
  EXPECT_THAT(spared_by(), HasSubstr("running_job")) << "seen for five hours: that job may have used it";
  engine_.in_use_set.oldest_job_start.reset();
  EXPECT_EQ(spared_by(), "");
}

TEST_F(OrphanedBuildersTest, OtherContainersAndVolumesAreNoneOfItsBusiness) {
  ended_.add("web", ContainerState::kExited, ago(hours{10}));
  ended_.add_volume("data", ago(hours{10}));
  ended_.add_volume("buildwarden_s3", ago(hours{10}));
  ended_.add_volume("buildx_buildkit_mine", ago(hours{10}));
  ended_.add_volume("my-buildx_buildkit_x_state", ago(hours{10}));
  learn();
  clock_.advance(hours{10});
  EXPECT_THAT(taken_first(), ElementsAre(kBuilder));
}

TEST_F(OrphanedBuildersTest, AVolumeWithoutAContainerGoesWhenItWasNotMountedForTheAge) {
  learn();
  ended_.forget("id-buildx_buildkit_job0");
  learn();
  EXPECT_THAT(spared_by(), HasSubstr("age")) << "a container mounted it when it was last seen";
  clock_.advance(hours{4});
  EXPECT_EQ(dropped_after([] {}), "");
  EXPECT_THAT(ended_.removed, ElementsAre("buildx_buildkit_job0_state"));
}

TEST_F(OrphanedBuildersTest, AVolumeThatSomebodyMadeOrOwnsStays) {
  ended_.forget("id-buildx_buildkit_job0");
  learn();
  clock_.advance(hours{5});
  auto& volume = ended_.volumes.front();
  volume.labels["keep"] = "me";
  EXPECT_THAT(spared_by(), HasSubstr("somebody labelled it"));
  volume.labels.clear();
  volume.is_plain = false;
  EXPECT_THAT(spared_by(), HasSubstr("another driver"));
  volume.is_plain = true;
  owners_.known["buildx_buildkit_job0"] = "instance job of /home/ann";
  EXPECT_THAT(spared_by(), HasSubstr("/home/ann")) << "as after rm --keep-state";
  owners_.known.clear();
  volume.created = ago(hours{1});
  EXPECT_THAT(spared_by(), HasSubstr("last used 1h ago"));
}

TEST_F(OrphanedBuildersTest, WhatChangedSinceThePlanIsDropped) {
  EXPECT_EQ(dropped_after([&] { details().commands = 2; }), "in use by 2 commands that run in it");
  details().commands = 0;
  EXPECT_EQ(dropped_after([&] { owners_.known["buildx_buildkit_job0"] = "instance job of /root"; }),
            "protected: instance job of /root");
  owners_.known.clear();
  EXPECT_THAT(dropped_after([&] { engine_.engine.identity.id = "engine-2"; }), HasSubstr("another engine"));
  engine_.engine.identity.id = "engine-1";
  EXPECT_THAT(dropped_after([&] { use("exec_start: buildctl dial-stdio"); }), HasSubstr("used since the plan"));
  EXPECT_EQ(dropped_after([&] { ended_.forget("id-buildx_buildkit_job0"); }), "already gone");
  EXPECT_THAT(ended_.removed, ElementsAre());
  EXPECT_THAT(ended_.stopped, ElementsAre());
}

TEST_F(OrphanedBuildersTest, OneThatWasStartedBetweenStopAndRemovalStays) {
  ended_.refusal = Error(Errc::kConflict, "it is running");
  EXPECT_THAT(dropped_after([] {}), HasSubstr("in use: it is running"));
  EXPECT_THAT(ended_.removed, ElementsAre());
}

TEST_F(OrphanedBuildersTest, AVolumeThatIsMountedAgainIsDropped) {
  ended_.forget("id-buildx_buildkit_job0");
  learn();
  clock_.advance(hours{5});
  EXPECT_EQ(dropped_after([&] {
              ended_.add("other", ContainerState::kCreated, clock_.now().wall).volumes = {"buildx_buildkit_job0_state"};
            }),
            "a container mounts it again");
}

TEST_F(OrphanedBuildersTest, WhatIsNotKnownIsAnErrorAndNothingGoes) {
  owners_.error = Error(Errc::kTimeout, "/home/ann does not answer");
  EXPECT_THAT(run_on(loop_, rung_.list(turn_)).error().message(), HasSubstr("whose builders they are"));
  owners_.error.reset();
  ended_.no_volumes = Error(Errc::kProtocol, "half a list");
  EXPECT_FALSE(run_on(loop_, rung_.list(turn_)));
  ended_.no_volumes.reset();
  const auto candidates = list();
  owners_.error = Error(Errc::kTimeout, "/home/ann does not answer");
  EXPECT_FALSE(run_on(loop_, rung_.evict(candidates.at(0), turn_)));
  EXPECT_THAT(ended_.stopped, ElementsAre());
}

}  // namespace
}  // namespace buildwarden::disk
