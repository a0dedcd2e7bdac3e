// What the reconciler does about builders that are there and no good, and about people who ask.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <boost/asio/co_spawn.hpp>
#include <csignal>
#include <fstream>
#include <optional>

#include "common/format.h"
#include "daemon/builders/volumes.h"
#include "tests/unit/builders/idle_process.h"
#include "tests/unit/builders/reconciler_fixture.h"

namespace buildwarden::builders {
namespace {

using buildwarden::testing::FakeBuildkitd;
using buildwarden::testing::IdleProcess;
using buildwarden::testing::ReconcilerTest;
using buildwarden::testing::run_until;
using policy::BuilderState;
using policy::ContainerState;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Hang : public ReconcilerTest {
 protected:
  // Turns of ten seconds, until something is done, at most so many.
  std::vector<std::string> silent_turns(int most) {
    buildkitd_->manner = FakeBuildkitd::Manner::kHangsUp;
    std::vector<std::string> done;
    for (int i = 0; i < most && done.empty(); ++i) {
      done = turn();
      clock_.advance(seconds{10});
    }
    return done;
  }
  ports::BuilderView& now() { return view_ = view(); }

  ports::BuilderView view_;
};

// Issue 15: docker-init above it wakes each second, and a build's own processes go on: who listens is what is judged,
// and nothing needs to be known of the container's processes.
TEST_F(Hang, OfTheProcessThatListensIsRestartedWhateverElseRunsInItsContainer) {
  apart_ = true;
  warm();
  EXPECT_THAT(silent_turns(3), IsEmpty());
  EXPECT_THAT(now().reason, HasSubstr("has not answered"));
  EXPECT_THAT(silent_turns(2), ElementsAre("restart buildwarden_s3"));
  buildkitd_->manner = FakeBuildkitd::Manner::kAnswers;
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_THAT(journal_.last("builder.healed").reason,
              AllOf(HasSubstr("counts as dead"), HasSubstr("; restart buildwarden_s3, in ")));
  EXPECT_EQ(now().state, BuilderState::kWarm);
  EXPECT_EQ(now().heals_by_reason.at("frozen"), 1U);
}

TEST_F(Hang, OfOneThatWorksIsEndedByTheDeadlineAlone) {
  warm();
  EXPECT_THAT(silent_turns(30), IsEmpty()) << "this very process, which listens, uses the CPU all the time";
  EXPECT_EQ(now().state, BuilderState::kHealing);
  EXPECT_THAT(silent_turns(2), ElementsAre("restart buildwarden_s3")) << "after five minutes";
  EXPECT_GE(journal_.count("builder.state"), 1U) << "what takes longer is told before it ends";
  buildkitd_->manner = FakeBuildkitd::Manner::kAnswers;
  turn();
  EXPECT_THAT(journal_.last("builder.healed").reason, HasSubstr("whatever else it does"));
}

TEST_F(Hang, IsNoReasonToHandItOut) {
  apart_ = true;
  EXPECT_EQ(reconciler().why_withheld("s3"), "") << "not looked at yet: it may be on its way";
  warm();
  EXPECT_EQ(reconciler().why_withheld("s3"), "");
  EXPECT_EQ(reconciler().why_withheld("other"), "");
  buildkitd_->listener->stop();
  EXPECT_EQ(reconciler().why_withheld("s3"),
            format("the process {} that serves its socket is stopped", buildkitd_->listener->pid()));
  ::kill(buildkitd_->listener->pid(), SIGCONT);
  ASSERT_TRUE(buildwarden::testing::eventually([this] { return reconciler().why_withheld("s3").empty(); }));
  silent_turns(1);
  EXPECT_EQ(reconciler().why_withheld("s3"), "it has not answered for 10s");
  buildkitd_->manner = FakeBuildkitd::Manner::kAnswers;
  turn();
  EXPECT_EQ(reconciler().why_withheld("s3"), "");
}

TEST_F(Hang, OfOneThatStartsIsWaitedForByTheJobsThatAreHandedIt) {
  serve(FakeBuildkitd::Manner::kHangsUp);
  turn();
  silent_turns(2);
  EXPECT_EQ(reconciler().why_withheld("s3"), "");
  silent_turns(2);
  EXPECT_EQ(reconciler().why_withheld("s3"), "it has not answered for 40s");
}

// Issue 20: after `docker buildx rm` a start met the container that was just going.
TEST_F(ReconcilerTest, ARaceWithSomebodyWhoRemovesItIsNotToldUnlessItGoesOnAndOn) {
  warm();
  const auto before = journal_.events.size();
  engine_.set_state("buildwarden_s3", ContainerState::kExited, "die");
  engine_.fail.emplace("start buildwarden_s3", Error(Errc::kConflict, "it is marked for removal"));
  for (int i = 0; i < 20; ++i) EXPECT_THAT(turn(), ElementsAre("start buildwarden_s3"));
  EXPECT_EQ(journal_.events.size(), before);
  turn();
  ASSERT_EQ(journal_.count("builder.step_failed"), 1U);
  EXPECT_EQ(journal_.last("builder.step_failed").severity, ports::Severity::kWarning);
  EXPECT_THAT(journal_.last("builder.step_failed").reason, HasSubstr("came too late again and again"));
}

TEST_F(ReconcilerTest, AHealThatTakesLongIsToldBeforeItEnds) {
  warm();
  const auto before = journal_.events.size();
  engine_.set_state("buildwarden_s3", ContainerState::kExited, "die");
  engine_.fail.emplace("start buildwarden_s3", Error(Errc::kConflict, "it is marked for removal"));
  turn();
  EXPECT_EQ(journal_.events.size(), before);
  clock_.advance(seconds{11});
  turn();
  EXPECT_EQ(journal_.last("builder.state").fields.back(),
            (std::pair<std::string, ports::Field>{"to", std::string("healing")}));
  engine_.fail.clear();
  turn();
  turn();
  EXPECT_THAT(journal_.last("builder.healed").reason, HasSubstr("healed after 11s: "));
  EXPECT_EQ(journal_.events.size(), before + 2);
}

TEST_F(ReconcilerTest, CountsAHealThatWasTheEnginesOwnRestart) {
  warm();
  auto& seen = engine_.containers.at("buildwarden_s3").seen;
  engine_.set_state("buildwarden_s3", ContainerState::kRestarting, "die");
  EXPECT_THAT(turn(), IsEmpty());
  seen.state = ContainerState::kRunning;
  ++seen.restarts;
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_EQ(view().state, BuilderState::kWarm);
  EXPECT_EQ(view().heals_by_reason.at("engine_restarted"), 1U);
  EXPECT_EQ(journal_.last("builder.healed").rule, "engine_restarted");
  turn();
  EXPECT_EQ(view().heals, 1U);
}

TEST_F(ReconcilerTest, TakesAFolderThatItCannotLookAtForTheRightOne) {
  const IdleProcess process("cd /; exec sleep 600");  // it sees no folder where a builder's is
  struct stat inside{};
  if (::stat("/run/buildkit", &inside) == 0) GTEST_SKIP() << "this machine has a buildkitd of its own";
  warm();
  engine_.containers.at("buildwarden_s3").seen.pid = process.pid();
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_EQ(view().state, BuilderState::kWarm);
}

TEST_F(ReconcilerTest, EndsACrashLoopOnAFreshVolumeAndRemembersIt) {
  engine_.engine.identity.root_dir = folder_.path();
  warm();
  EXPECT_EQ(engine_.containers.at("buildwarden_s3").spec.mounts[0].source, "buildwarden_s3");
  buildkitd_->manner = FakeBuildkitd::Manner::kHangsUp;
  auto& seen = engine_.containers.at("buildwarden_s3").seen;
  seen.state = ContainerState::kRestarting;
  ++seen.restarts;  // of a run that had answered
  for (int i = 0; i < 5; ++i) {
    ++seen.restarts;
    EXPECT_THAT(turn(), IsEmpty());
    clock_.advance(seconds{7});
  }
  EXPECT_THAT(turn(), ElementsAre("remove buildwarden_s3", "create buildwarden_s3", "start buildwarden_s3"));
  EXPECT_EQ(engine_.containers.at("buildwarden_s3").spec.mounts[0].source, "buildwarden_s3_2");
  EXPECT_THAT(journal_.last("builder.fresh_volume").reason, HasSubstr("docker volume rm buildwarden_s3`"));
  EXPECT_EQ(view().volume, "buildwarden_s3_2");
  buildkitd_->manner = FakeBuildkitd::Manner::kAnswers;
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_EQ(view().state, BuilderState::kWarm);
  // Also without its container, and by another run of the program.
  restart_with([](BuilderSettings&) {});
  EXPECT_THAT(turn(), IsEmpty()) << "the container is as it should be";
  engine_.containers.erase("buildwarden_s3");  // no event: the reconciler that it would wake is gone
  restart_with([](BuilderSettings&) {});
  EXPECT_THAT(turn(), ElementsAre("create buildwarden_s3", "start buildwarden_s3"));
  EXPECT_EQ(engine_.containers.at("buildwarden_s3").spec.mounts[0].source, "buildwarden_s3_2");
}

TEST_F(ReconcilerTest, MakesNothingWhileItCannotTellOnWhichVolume) {
  ASSERT_TRUE(make_folders(settings_.paths.state + "/builders"));
  const auto file = volumes_file(settings_.paths, "s3");
  ASSERT_TRUE(write_file_atomically(file, "two"));
  EXPECT_THAT(turn(), IsEmpty());
  EXPECT_THAT(view().reason, HasSubstr("does not tell the builder's volume"));
  ASSERT_TRUE(write_file_atomically(file, "3 4\n"));
  EXPECT_FALSE(turn().empty());
  EXPECT_EQ(engine_.containers.at("buildwarden_s3").spec.mounts[0].source, "buildwarden_s3_3");
}

class Asking : public ReconcilerTest {
 protected:
  Result<ports::Recreated> ask(const std::string& name, bool force, bool dry_run) {
    ports::Recreation request;
    request.builder = name;
    request.force = force;
    request.dry_run = dry_run;
    request.on_behalf_of = "uid 0";
    return buildwarden::testing::run_on(
        loop_, reconciler().recreate(request, [this](const std::string& line) { progress_.push_back(line); }));
  }
  void go() {
    reconciler().start();
    run_until(loop_, [&] { return view().state == BuilderState::kWarm; });
    engine_.calls.clear();
  }

  std::vector<std::string> progress_;
};

TEST_F(Asking, GetsABuilderMadeAnewOnItsVolume) {
  go();
  const auto made = ask("s3", false, false);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_THAT(engine_.calls, ElementsAre("remove buildwarden_s3", "create buildwarden_s3", "start buildwarden_s3"));
  EXPECT_THAT(made->steps, ElementsAre("remove buildwarden_s3", "create buildwarden_s3"));
  EXPECT_EQ(made->rule, "asked");
  EXPECT_EQ(view().state, BuilderState::kWarm);
  EXPECT_EQ(view().heals_by_reason.at("asked"), 1U);
  EXPECT_FALSE(progress_.empty());
  EXPECT_THAT(journal_.last("builder.asked").reason, HasSubstr("uid 0 asked for builder s3"));
}

TEST_F(Asking, IsToldWhatWouldBeDone) {
  go();
  const auto would = ask("s3", false, true);
  ASSERT_TRUE(would) << would.error().message();
  EXPECT_TRUE(would->dry_run);
  EXPECT_THAT(would->steps, ElementsAre("remove buildwarden_s3", "create buildwarden_s3"));
  EXPECT_THAT(engine_.calls, IsEmpty());
  EXPECT_EQ(view().state, BuilderState::kWarm);
}

TEST_F(Asking, WaitsForBuildsUnlessForced) {
  go();
  buildkitd_->manner = FakeBuildkitd::Manner::kHangsUp;  // who builds on it is not known
  const auto refused = ask("s3", false, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Errc::kConflict);
  EXPECT_THAT(refused.error().message(), HasSubstr("once no build runs"));
  EXPECT_THAT(engine_.calls, IsEmpty());
  engine_.started = [this](const std::string&) { buildkitd_->manner = FakeBuildkitd::Manner::kAnswers; };
  const auto forced = ask("s3", true, false);
  ASSERT_TRUE(forced) << forced.error().message();
  EXPECT_THAT(engine_.calls, ElementsAre("remove buildwarden_s3", "create buildwarden_s3", "start buildwarden_s3"));
}

TEST_F(Asking, IsRefusedForWhatIsNotOursOrNotThere) {
  go();
  EXPECT_EQ(ask("other", true, false).error().code(), Errc::kNotFound);
  engine_.containers.at("buildwarden_s3").seen.ours = false;
  EXPECT_EQ(ask("s3", true, false).error().code(), Errc::kConflict);
  engine_.lose("connection refused");
  EXPECT_EQ(ask("s3", true, false).error().code(), Errc::kUnavailable);
  EXPECT_THAT(engine_.calls, IsEmpty());
}

}  // namespace
}  // namespace buildwarden::builders
