// Step 7 of the ladder against a real, private engine and a real buildx.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "daemon/builders/buildx_instances.h"
#include "daemon/evictors/orphaned_builders.h"
#include "daemon/last_use/last_use_recorder.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/fake_image_engine.h"

namespace buildwarden::disk {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class OneFrontHeld final : public ports::InUse {
 public:
  [[nodiscard]] ports::InUseSet now() const override {
    ports::InUseSet held;
    held.container_names = {"buildx_buildkit_s30"};
    return held;
  }
};

class OrphansIntegration : public testing::EngineFixture {
 protected:
  void SetUp() override {
    EngineFixture::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) load_builder_image();
  }
  void build_on(engine::Engine& engine) override {
    ledger_ = std::make_unique<LastUseLedger>(clock_, store_, journal_);
    use_ = std::make_unique<BuildxBuilderUse>(BuildxBuilderUse::Parts{*ledger_, engine, clock_});
    feed_ = std::make_unique<LastUseRecorder>(
        LastUseRecorder::Parts{*ledger_, engine, engine, clock_, workers_, use_.get()});
    people_ = std::make_unique<builders::BuildxInstances>(workers_,
                                                          [this] { return std::vector<std::string>{dir() + "/ann"}; });
    rung_ = std::make_unique<OrphanedBuilders>(
        OrphanedBuilders::Parts{engine, engine, engine, engine, held_, *people_, *ledger_, clock_});
  }
  void on_event(const ports::EngineEvent& event) override {
    events_.push_back(event);
    feed_->on_event(event);
  }
  void on_connected(const ports::EngineIdentity& identity, std::optional<Duration> gap) override {
    feed_->on_connected(identity, gap);
  }
  // As a job (or the person `home`) would, with a folder of its own for what buildx remembers.
  void create_builder(const std::string& name, const std::string& home) {
    shell("mkdir -p $DIR/" + home + "/.docker; DOCKER_CONFIG=$DIR/" + home + "/.docker docker buildx create --name " +
          name + " --driver docker-container --bootstrap");
    wait_for_commands("buildx_buildkit_" + name + "0");
  }
  // The engine may show a command for some time after whoever began it is told of its end.
  void wait_for_commands(const std::string& container) {
    shell("until [[ $(docker inspect -f '{{len .ExecIDs}}' " + container + ") == 0 ]]; do sleep 0.1; done");
  }
  // After all that the engine has told by now: what comes late would count as a use of later.
  void learn() {
    shell("docker network create bw-mark >/dev/null; docker network rm bw-mark >/dev/null");
    hear("destroy", "bw-mark");
    events_.clear();
    const auto learned = run(feed_->turn());
    ASSERT_TRUE(learned) << learned.error().message();
  }
  // Until the engine's event of such a beginning was heard, of a thing of that name.
  void hear(const std::string& action, const std::string& thing) {
    const auto heard = [&] {
      return std::any_of(events_.begin(), events_.end(), [&](const auto& event) {
        const auto name = event.attributes.find("name");
        return event.action.starts_with(action) && name != event.attributes.end() && name->second == thing;
      });
    };
    testing::run_until(loop_, heard);
    EXPECT_TRUE(heard()) << action;
  }
  std::vector<policy::Candidate> plan() {
    policy::EvictionRules rules;
    rules.age = turn_.age;
    auto listed = run(rung_->list(turn_));
    EXPECT_TRUE(listed) << listed.error().message();
    return listed ? policy::rank(*std::move(listed), rules, clock_.now()).order : std::vector<policy::Candidate>{};
  }
  static std::vector<std::string> names(const std::vector<policy::Candidate>& candidates) {
    std::vector<std::string> all;
    for (const auto& candidate : candidates) all.push_back(candidate.name);
    return all;
  }
  std::string evict(const policy::Candidate& candidate) {
    const auto taken = run(rung_->evict(candidate, turn_));
    EXPECT_TRUE(taken) << taken.error().message();
    return taken ? taken->dropped : "";
  }
  std::string containers() { return shell("docker ps -a --format '{{.Names}}' | sort"); }
  std::string volumes() { return shell("docker volume ls -q | sort"); }

  testing::FakeLedgerStore store_;
  OneFrontHeld held_;
  std::vector<ports::EngineEvent> events_;
  std::unique_ptr<LastUseLedger> ledger_;
  std::unique_ptr<BuildxBuilderUse> use_;
  std::unique_ptr<LastUseRecorder> feed_;
  std::unique_ptr<builders::BuildxInstances> people_;
  std::unique_ptr<OrphanedBuilders> rung_;
  policy::RungTurn turn_{policy::RungId::kOrphans, 1, 4h};
};

TEST_F(OrphansIntegration, WhatJobsLeftBehindGoesAndNothingElse) {
  create_builder("left", "job1");    // running, forgotten
  create_builder("halted", "job2");  // stopped
  create_builder("mine", "ann");     // a person's
  create_builder("s3", "job3");      // where a front belongs
  shell("DOCKER_CONFIG=$DIR/job2/.docker docker buildx stop halted; rm -rf $DIR/job1 $DIR/job2 $DIR/job3");
  shell(
      "docker volume create buildx_buildkit_gone0_state; docker volume create --label who=me buildx_buildkit_x0_state");
  shell("docker volume create data");
  learn();
  EXPECT_THAT(names(plan()), ElementsAre()) << "just made";
  clock_.later += 3h;
  learn();
  EXPECT_THAT(names(plan()), ElementsAre());
  clock_.later += 2h;
  const auto candidates = plan();
  EXPECT_THAT(names(candidates),
              UnorderedElementsAre("buildx's builder buildx_buildkit_left0 (running) with its volume",
                                   "buildx's builder buildx_buildkit_halted0 (not running) with its volume",
                                   "volume buildx_buildkit_gone0_state of a builder that is gone"));
  for (const auto& candidate : candidates) EXPECT_EQ(evict(candidate), "") << candidate.name;
  EXPECT_EQ(containers(), "buildx_buildkit_mine0\nbuildx_buildkit_s30\n");
  EXPECT_EQ(volumes(), "buildx_buildkit_mine0_state\nbuildx_buildkit_s30_state\nbuildx_buildkit_x0_state\ndata\n");
}

TEST_F(OrphansIntegration, ABuilderThatIsUsedOrBuildsIsNotTaken) {
  create_builder("used", "job1");
  create_builder("busy", "job2");
  learn();
  clock_.later += 5h;
  ASSERT_EQ(plan().size(), 2U);
  shell("docker exec -d buildx_buildkit_busy0 sleep 1000");
  hear("exec_create: sleep", "buildx_buildkit_busy0");
  clock_.later += 5h;
  const auto candidates = plan();
  EXPECT_THAT(names(candidates), ElementsAre("buildx's builder buildx_buildkit_used0 (running) with its volume"))
      << "a build that takes five hours is a command that runs";

  shell("DOCKER_CONFIG=$DIR/job1/.docker docker buildx inspect used >/dev/null");
  hear("exec_create: buildctl", "buildx_buildkit_used0");
  wait_for_commands("buildx_buildkit_used0");
  EXPECT_THAT(evict(candidates.at(0)), HasSubstr("used since the plan"));
  EXPECT_THAT(containers(), HasSubstr("buildx_buildkit_used0"));
  EXPECT_THAT(volumes(), HasSubstr("buildx_buildkit_used0_state"));
}

}  // namespace
}  // namespace buildwarden::disk
