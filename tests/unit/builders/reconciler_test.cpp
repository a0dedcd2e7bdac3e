#include "daemon/builders/reconciler.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "tests/unit/builders/reconciler_fixture.h"

namespace buildwarden::builders {
namespace {

using buildwarden::testing::FakeBuildkitd;
using buildwarden::testing::ReconcilerTest;
using policy::BuilderState;
using policy::ContainerState;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// Without an event the next look is 30 s away, and a frozen buildkitd keeps a question waiting for 10 s.
constexpr std::chrono::seconds kWaitsOtherwise{5};

TEST_F(ReconcilerTest, WarmsWhatIsNotThere) {
  EXPECT_THAT(turn(), ElementsAre("create buildwarden_s3", "start buildwarden_s3", "create buildx_buildkit_s30",
                                  "start buildx_buildkit_s30", "create buildx_buildkit_shared0",
                                  "start buildx_buildkit_shared0"));
  EXPECT_EQ(view().state, BuilderState::kStarting);
  EXPECT_EQ(view().questions.readings, 0U);
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_EQ(view().state, BuilderState::kWarm);
  EXPECT_EQ(view().questions.readings, 1U);
  EXPECT_TRUE(view().questions.good);
  EXPECT_THAT(reconciler().not_ready(), IsEmpty());
  EXPECT_EQ(journal_.count("builder.healed"), 0U) << "a first start is no healing";
  EXPECT_EQ(journal_.last("builder.state").fields.back(),
            (std::pair<std::string, ports::Field>{"to", std::string("warm")}));
}

TEST_F(ReconcilerTest, PreparesTheHostForTheAgentAlone) {
  settings_.builders[0].registries["r.example"].ca = folder_.path() + "/ca.pem";
  ASSERT_TRUE(write_file_atomically(folder_.path() + "/ca.pem", "certificate"));
  turn();
  struct stat info{};
  ASSERT_EQ(::stat((settings_.paths.run + "/builders/s3").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0750U);
  EXPECT_EQ(info.st_gid, ::getegid());
  const auto toml = read_file(settings_.paths.state + "/builders/s3/buildkitd.toml");
  ASSERT_TRUE(toml);
  EXPECT_THAT(*toml, HasSubstr("[worker.oci]"));
  EXPECT_EQ(*read_file(settings_.paths.state + "/builders/s3/certs/r.example/ca.pem"), "certificate");
}

TEST_F(ReconcilerTest, BringsTheImageFirst) {
  engine_.images.clear();
  const auto calls = turn();
  ASSERT_FALSE(calls.empty());
  EXPECT_EQ(calls[0], "pull moby/buildkit:buildx-stable-1");
  EXPECT_EQ(calls[1], "create buildwarden_s3");
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_EQ(view().state, BuilderState::kWarm) << "the label holds the id of the image that was brought";
}

struct Loss {
  const char* name;
  const char* container;
  ContainerState state;
  const char* event;
  const char* rule;
  std::vector<std::string> healing;
};
class ReconcilerHeals : public ReconcilerTest, public ::testing::WithParamInterface<Loss> {};

TEST_P(ReconcilerHeals, AndSaysSo) {
  warm();
  const auto& loss = GetParam();
  const auto before = journal_.events.size();
  if (loss.state == ContainerState::kMissing) {
    engine_.remove(loss.container);
  } else {
    engine_.set_state(loss.container, loss.state, loss.event);
  }
  clock_.advance(Duration{40});
  EXPECT_EQ(turn(), loss.healing);
  clock_.advance(Duration{500});
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_EQ(view().state, BuilderState::kWarm);
  ASSERT_EQ(journal_.count("builder.healed"), 1U);
  EXPECT_EQ(journal_.events.size(), before + 1) << "a heal is told once";
  const auto healed = journal_.last("builder.healed");
  EXPECT_EQ(healed.rule, loss.rule);
  EXPECT_THAT(healed.reason, AllOf(HasSubstr("builder s3 was healed after 540 ms: "), HasSubstr(loss.container),
                                   HasSubstr(", in 500 ms")));
  EXPECT_EQ(healed.fields.back(), (std::pair<std::string, ports::Field>{"gone_seconds", 0.54}));
  EXPECT_EQ(view().heals, 1U);
  EXPECT_EQ(view().heals_by_reason.at(loss.rule), 1U);
  EXPECT_EQ(view().last_heal_at, clock_.now().wall);
}

INSTANTIATE_TEST_SUITE_P(
    Losses, ReconcilerHeals,
    ::testing::Values(
        Loss{"exited", "buildwarden_s3", ContainerState::kExited, "die", "exited", {"start buildwarden_s3"}},
        Loss{"paused", "buildwarden_s3", ContainerState::kPaused, "pause", "paused", {"unpause buildwarden_s3"}},
        Loss{"removed",
             "buildwarden_s3",
             ContainerState::kMissing,
             "destroy",
             "removed",
             {"create buildwarden_s3", "start buildwarden_s3"}},
        Loss{"front_gone",
             "buildx_buildkit_shared0",
             ContainerState::kMissing,
             "destroy",
             "front_gone",
             {"create buildx_buildkit_shared0", "start buildx_buildkit_shared0"}},
        Loss{"front_exited",
             "buildx_buildkit_s30",
             ContainerState::kExited,
             "die",
             "front_exited",
             {"start buildx_buildkit_s30"}}),
    [](const auto& param) { return std::string(param.param.name); });

TEST_F(ReconcilerTest, ActsFromTheEventWithoutWaitingForItsTime) {
  reconciler().start();
  buildwarden::testing::run_until(loop_, [&] { return view().state == BuilderState::kWarm; });
  engine_.calls.clear();
  const auto before = std::chrono::steady_clock::now();
  engine_.set_state("buildwarden_s3", ContainerState::kPaused, "pause");
  buildwarden::testing::run_until(loop_, [&] { return !engine_.calls.empty(); });
  EXPECT_LT(std::chrono::steady_clock::now() - before, kWaitsOtherwise);
  EXPECT_THAT(engine_.calls, ElementsAre("unpause buildwarden_s3"));
}

TEST_F(ReconcilerTest, ActsFromTheEventAlsoWhileAFrozenOneIsAsked) {
  reconciler().start();
  buildwarden::testing::run_until(loop_, [&] { return view().state == BuilderState::kWarm; });
  buildkitd_->manner = FakeBuildkitd::Manner::kFrozen;
  const auto asked = buildkitd_->asked;
  engine_.emit("buildwarden_s3", "start");
  buildwarden::testing::run_until(loop_, [&] { return buildkitd_->asked > asked; });
  engine_.calls.clear();
  const auto before = std::chrono::steady_clock::now();
  engine_.remove("buildx_buildkit_s30");
  buildwarden::testing::run_until(loop_, [&] { return !engine_.calls.empty(); });
  EXPECT_LT(std::chrono::steady_clock::now() - before, kWaitsOtherwise);
  EXPECT_THAT(engine_.calls, Contains("create buildx_buildkit_s30"));
}

TEST_F(ReconcilerTest, StopsAtOnce) {
  reconciler().start();
  buildwarden::testing::run_until(loop_, [&] { return view().state == BuilderState::kWarm; });
  reconciler().stop();
  buildkitd_->stop();
  loop_.restart();
  EXPECT_LT(loop_.run_for(seconds{5}), 1000U);
  EXPECT_TRUE(loop_.stopped()) << "nothing waits any more";
}

// On a busy host the steps that are left would take longer than a stop may.
TEST_F(ReconcilerTest, TakesNoFurtherStepOnceItIsStopped) {
  engine_.started = [this](const std::string&) { reconciler().stop(); };
  EXPECT_THAT(turn(), ElementsAre("create buildwarden_s3", "start buildwarden_s3"));
  EXPECT_EQ(journal_.count("builder.step_failed"), 0U);
}

TEST_F(ReconcilerTest, LeavesForeignContainersAlone) {
  warm();
  engine_.containers.at("buildwarden_s3").seen.ours = false;
  engine_.containers.at("buildwarden_s3").seen.state = ContainerState::kExited;
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_EQ(view().state, BuilderState::kDown);
  EXPECT_THAT(reconciler().not_ready().at(0).reason, HasSubstr("not ours"));
}

TEST_F(ReconcilerTest, ShowsALostEngineAndDoesNothing) {
  warm();
  engine_.lose("connection refused");
  engine_.containers.clear();
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_EQ(view().state, BuilderState::kDown);
  EXPECT_EQ(view().reason, "connection refused");
}

TEST_F(ReconcilerTest, TakesAFailedInspectionForUnknownNotForMissing) {
  warm();
  engine_.fail.emplace("inspect", Error(Errc::kTimeout, "no answer in 10 s"));
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_EQ(view().state, BuilderState::kDown);
  EXPECT_THAT(view().reason, HasSubstr("no answer in 10 s"));
  engine_.fail.clear();
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_EQ(view().state, BuilderState::kWarm);
}

TEST_F(ReconcilerTest, WaitsForAnEngineThatIsKnown) {
  engine_.engine.identity.id.clear();
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_EQ(view().state, BuilderState::kDown);
}

TEST_F(ReconcilerTest, BacksOffAfterAFailure) {
  engine_.fail.emplace("create buildwarden_s3", Error(Errc::kInvalid, "no space left on device"));
  EXPECT_THAT(turn(), ElementsAre("create buildwarden_s3"));
  EXPECT_THAT(journal_.last("builder.step_failed").reason, HasSubstr("no space left on device"));
  EXPECT_THAT(view().reason, HasSubstr("no space left on device"));
  EXPECT_EQ(again_, seconds{1});
  EXPECT_THAT(turn(), IsEmpty());
  clock_.advance(seconds{1});
  EXPECT_THAT(turn(), ElementsAre("create buildwarden_s3"));
  EXPECT_EQ(again_, seconds{2});
}

TEST_F(ReconcilerTest, BelievesASilentOneForAWhile) {
  warm();
  buildkitd_->manner = FakeBuildkitd::Manner::kHangsUp;
  for (int silent = 1; silent <= 2; ++silent) {
    EXPECT_THAT(turn(), IsEmpty());
    EXPECT_EQ(view().state, BuilderState::kWarm) << silent;
    EXPECT_LE(again_, kAskAgain);
  }
  turn();
  EXPECT_EQ(view().state, BuilderState::kHealing);
  buildkitd_->manner = FakeBuildkitd::Manner::kAnswers;
  turn();
  EXPECT_EQ(view().state, BuilderState::kWarm);
}

TEST_F(ReconcilerTest, MakesAChangedOneAnewOnceItIsIdle) {
  warm();
  restart_with([](BuilderSettings& builder) { builder.max_parallelism = 2; });
  buildkitd_->manner = FakeBuildkitd::Manner::kHangsUp;
  EXPECT_THAT(turn(), IsEmpty()) << "who may be building is not known";
  buildkitd_->manner = FakeBuildkitd::Manner::kAnswers;
  EXPECT_THAT(turn(), ElementsAre("remove buildwarden_s3", "create buildwarden_s3", "start buildwarden_s3"));
  EXPECT_THAT(turn(), IsEmpty());
}

TEST_F(ReconcilerTest, SeesAMovedImageButNotAMissingOne) {
  warm();
  engine_.images.clear();
  EXPECT_THAT(turn(), IsEmpty()) << "it runs; that its image was untagged is no change";
  engine_.images[settings_.builders[0].image] = "sha256:newer";
  EXPECT_THAT(turn(), Contains("remove buildwarden_s3"));
}

TEST_F(ReconcilerTest, OnlySpeaksInADryRun) {
  settings_.dry_run = true;
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_EQ(journal_.count("builder.would"), 1U);
  EXPECT_THAT(journal_.last("builder.would").reason, HasSubstr("create buildwarden_s3"));
  EXPECT_FALSE(read_file(settings_.paths.state + "/builders/s3/buildkitd.toml"));
}

TEST_F(ReconcilerTest, ProtectsWhatBuildersLiveOn) {
  warm();
  const auto held = reconciler().now();
  EXPECT_THAT(held.image_references, UnorderedElementsAre("moby/buildkit:buildx-stable-1", "sha256:kit"));
  EXPECT_THAT(held.container_names,
              UnorderedElementsAre("buildwarden_s3", "buildx_buildkit_s30", "buildx_buildkit_shared0"));
}

TEST_F(ReconcilerTest, TakesAnotherConfigurationWhileItRuns) {
  warm();
  auto builders = settings_.builders;
  reconciler().reconfigure(builders, false, false);
  EXPECT_THAT(turn(), IsEmpty()) << "the same one";
  builders[0].max_parallelism = 2;
  builders[0].aliases = {"other"};
  reconciler().reconfigure(builders, false, false);
  EXPECT_THAT(turn(), ElementsAre("create buildx_buildkit_other0", "start buildx_buildkit_other0"));
  EXPECT_THAT(turn(), ElementsAre("remove buildwarden_s3", "create buildwarden_s3", "start buildwarden_s3"));
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_THAT(journal_.last("builder.let_go").reason, HasSubstr("buildx_buildkit_shared0 is not configured any more"));
  EXPECT_EQ(journal_.count("builder.let_go"), 1U);
  EXPECT_TRUE(engine_.containers.contains("buildx_buildkit_shared0"));
}

TEST_F(ReconcilerTest, ProtectsTheImageThatWillBeNeeded) {
  warm();
  auto builders = settings_.builders;
  builders[0].image = "moby/buildkit:v9";
  reconciler().reconfigure(builders, false, false);
  EXPECT_THAT(reconciler().now().image_references,
              UnorderedElementsAre("moby/buildkit:buildx-stable-1", "sha256:kit", "moby/buildkit:v9"));
}

TEST_F(ReconcilerTest, ADryRunBeginsAndEndsWhileItRuns) {
  warm();
  engine_.containers.erase("buildx_buildkit_s30");
  reconciler().reconfigure(settings_.builders, false, true);
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_EQ(journal_.count("builder.would"), 1U);
  reconciler().reconfigure(settings_.builders, false, false);
  EXPECT_THAT(turn(), Contains("create buildx_buildkit_s30"));
}

TEST_F(ReconcilerTest, BeginsNewOnesAndLetsGoOfOthersWhileItsLoopsRun) {
  reconciler().start();
  const auto is_warm = [this](const std::string& name) {
    for (const auto& one : reconciler().builders_view().builders) {
      if (one.name == name) return one.state == BuilderState::kWarm;
    }
    return false;
  };
  buildwarden::testing::run_until(loop_, [&] { return is_warm("s3"); });
  auto builders = settings_.builders;
  builders[0].name = "new";
  builders[0].aliases.clear();
  reconciler().reconfigure(builders, false, false);
  buildwarden::testing::run_until(loop_, [&] { return engine_.containers.contains("buildx_buildkit_new0"); });
  EXPECT_EQ(reconciler().builders_view().builders.size(), 1U);
  EXPECT_EQ(journal_.count("builder.let_go"), 3U);
  EXPECT_TRUE(engine_.containers.contains("buildwarden_s3")) << "left as it is";
  engine_.containers.erase("buildwarden_s3");
  engine_.calls.clear();
  ports::EngineEvent gone{"container", "destroy", {}, {}, {}};
  gone.attributes["name"] = "buildwarden_s3";
  reconciler().on_engine_event(gone);
  reconciler().reconfigure(settings_.builders, false, false);  // and back again, beside a loop that may still be ending
  buildwarden::testing::run_until(loop_, [&] { return engine_.containers.contains("buildwarden_s3"); });
}

TEST_F(ReconcilerTest, TakesTheHostsUsersUnderRemap) {
  engine_.engine.identity.userns_remap = true;
  warm();
  for (const auto& [name, container] : engine_.containers) EXPECT_TRUE(container.spec.host_userns) << name;
}

}  // namespace
}  // namespace buildwarden::builders
