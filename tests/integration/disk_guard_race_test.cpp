// Between plan and deletion the world moves on: on a real engine, what was planned and has changed since is left alone.
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/worker.h"
#include "daemon/disk/gauges.h"
#include "daemon/disk/image_rungs.h"
#include "daemon/disk/ledger_feed.h"
#include "daemon/disk/reclaimer.h"
#include "daemon/engine/engine.h"
#include "tests/support/fake_image_engine.h"
#include "tests/support/fake_journal.h"
#include "tests/support/loop.h"
#include "tests/support/sandbox.h"

namespace buildwarden::disk {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The disk room's deleting half on a real engine, with nothing too young to go.
struct Half {
  Half(boost::asio::io_context& on, const std::string& folder)
      : loop(on), settings(settings_for(folder)), engine(settings.engine, {workers, clock, journal}) {
    engine.on_event([this](const ports::EngineEvent& event) { feed.on_event(event); });
    engine.on_connected([this](const ports::EngineIdentity& identity, std::optional<Duration> gap) {
      feed.on_connected(identity, gap);
    });
    engine.on_lost([this](const std::string&) { feed.on_lost(); });
  }
  static Settings settings_for(const std::string& folder) {
    Settings settings;
    settings.engine.socket = folder + "/docker.sock";
    settings.disk.watch = {WatchedPath{folder + "/disk", true}};
    settings.disk.keep_used_within = Duration{0};
    settings.disk.grace = Duration{0};
    settings.disk.keep = {"safe/*"};
    settings.disk.min_free = Amount::bytes(kMiB);  // so that it is no critical disk with a second pass
    settings.disk.min_free_inodes = 1;
    return settings;
  }
  Reclaimer::Parts reclaimer_parts() {
    Reclaimer::Parts parts{settings, clock, journal, nobody, gauges, {&dangling, &unused}};
    parts.before_take = [this](policy::Candidate candidate) { return between(std::move(candidate)); };
    return parts;
  }
  boost::asio::awaitable<void> between(policy::Candidate candidate) {
    if (meanwhile) meanwhile(candidate);
    co_return;
  }

  boost::asio::io_context& loop;
  Settings settings;
  SystemClock clock;
  testing::FakeJournal journal;
  testing::FakeLedgerStore store;
  testing::FakeImageEngine nobody;  // holds nothing
  WorkerPool workers{2};
  engine::Engine engine;
  Ledger ledger{clock, store, journal};
  LedgerFeed feed{{ledger, engine, engine, clock, workers}};
  DanglingImages dangling{{engine, engine, engine, nobody, ledger, clock}};
  UnusedImages unused{{engine, engine, engine, nobody, ledger, clock}};
  Sampler sampler{std::make_shared<MountTable>("/proc/self/mountinfo"), {}};
  Gauges gauges{
      {settings, clock, sampler, [this] { return EngineHome{engine.status().identity.root_dir, {}, false}; }}};
  std::function<void(const policy::Candidate&)> meanwhile;
  Reclaimer reclaimer{reclaimer_parts()};
};

class DiskGuardRace : public testing::SandboxFixture, public ::testing::WithParamInterface<const char*> {
 protected:
  [[nodiscard]] std::string sandbox_options() const override { return std::string("--engine ") + GetParam(); }
  void SetUp() override {
    SandboxFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    half_ = std::make_unique<Half>(loop_, dir());
    engine_runs_ = std::make_unique<testing::Background>(loop_, half_->engine.run());
    feed_runs_ = std::make_unique<testing::Background>(loop_, half_->feed.run());
    settle();
  }
  void TearDown() override {
    if (half_) {
      half_->engine.stop();
      half_->feed.stop();
      testing::run_until(loop_, [this] { return engine_runs_->ended() && feed_runs_->ended(); });
    }
    SandboxFixture::TearDown();
  }

  // An image that runs; its busybox sleeps or ends.
  void make(const std::string& tag) {
    shell(
        "mkdir -p $DIR/i; cp $(command -v busybox) $DIR/i/busybox; head -c 100000 /dev/urandom > $DIR/i/data; "
        "tar -C $DIR/i -c . | docker import --change 'CMD [\"/busybox\",\"sleep\",\"600\"]' - " +
        tag);
  }
  // Until the ledger has seen all that there is.
  void settle() {
    testing::run_until(loop_, [this] { return half_->ledger.knows(half_->engine.status().identity); });
    EXPECT_TRUE(testing::run_on(loop_, half_->feed.turn()));
    half_->journal.events.clear();
  }
  // Plans, lets `meanwhile` happen directly before each deletion, and takes what is still to be taken.
  void reclaim_while(std::function<void(const policy::Candidate&)> meanwhile) {
    settle();
    testing::run_on(loop_, observed());
    half_->meanwhile = std::move(meanwhile);
    ports::SpaceRequest request;
    request.free = 1'000 * kGiB;
    request.wait = std::chrono::seconds{60};
    request.on_behalf_of = "a test";
    const auto result = testing::run_on(loop_, half_->reclaimer.ensure(request, {}));
    ASSERT_TRUE(result) << result.error().message();
    deleted_.clear();
    for (const auto& step : result->steps) deleted_.push_back(step.what);
  }
  [[nodiscard]] std::vector<std::string> reasons(const std::string& kind) const {
    std::vector<std::string> all;
    for (const auto& event : half_->journal.events) {
      if (event.kind == kind) all.push_back(event.reason);
    }
    return all;
  }
  [[nodiscard]] std::vector<std::string> dropped() const { return reasons("reclaim.dropped"); }
  // One victim, what happens to it, and why it is left alone.
  void expect_left_alone(const std::string& meanwhile, const std::string& reason) {
    make_anew();
    const auto id = shell("docker image inspect -f '{{.Id}}' victim/x:1");
    reclaim_while([&](const policy::Candidate&) { shell(meanwhile); });
    EXPECT_THAT(deleted_, IsEmpty()) << meanwhile;
    EXPECT_THAT(dropped(), Contains(HasSubstr(reason))) << meanwhile;
    EXPECT_EQ(shell("docker image inspect -f '{{.Id}}' " + id), id) << meanwhile;
  }
  // One image that may go, one that is kept, and nothing else.
  void make_anew() {
    shell("docker ps -aq | xargs -r docker rm -f; docker images -aq | sort -u | xargs -r docker rmi -f");
    make("safe/other:1");
    make("victim/x:1");
  }
  boost::asio::awaitable<bool> observed() {
    co_await half_->gauges.observe(true);
    co_return true;
  }

  boost::asio::io_context loop_;
  std::unique_ptr<Half> half_;
  std::unique_ptr<testing::Background> engine_runs_;
  std::unique_ptr<testing::Background> feed_runs_;
  std::vector<std::string> deleted_;
};

TEST_P(DiskGuardRace, WhatChangedAfterThePlanIsLeftAlone) {
  make("safe/other:1");
  reclaim_while({});
  EXPECT_THAT(deleted_, IsEmpty()) << "disk.keep";

  expect_left_alone("docker tag safe/other:1 victim/x:1", "victim/x:1 names sha256:");
  expect_left_alone("docker run -d --network none --name racer victim/x:1", "in use by container racer");
  expect_left_alone("docker create --name racer victim/x:1", "in use by container racer");
  expect_left_alone("docker tag victim/x:1 victim/x:2", "used since the plan");
  expect_left_alone("docker run --rm --network none victim/x:1 /busybox true", "used since the plan");
  expect_left_alone("docker tag victim/x:1 victim/x:kept; docker rmi victim/x:1", "victim/x:1 is gone");

  // Two names: the second one moves away; nothing else goes.
  make_anew();
  shell("docker tag victim/x:1 victim/x:2");
  reclaim_while([this](const policy::Candidate&) { shell("docker tag safe/other:1 victim/x:2"); });
  EXPECT_THAT(dropped(), Contains(HasSubstr("victim/x:2 names sha256:")));
  shell("docker image inspect victim/x:1 > /dev/null; docker rmi victim/x:1 victim/x:2");

  // An image without a name gets one.
  make_anew();
  make("victim/x:1");
  reclaim_while([this](const policy::Candidate& candidate) {
    if (candidate.references.empty()) shell("docker tag " + candidate.id + " safe/named:1");
  });
  EXPECT_THAT(dropped(), Contains(HasSubstr("it has a name now: safe/named:1")));
  EXPECT_THAT(deleted_, Contains("victim/x:1"));
  shell("docker image inspect safe/named:1 > /dev/null");
}

// A container that only stands there, and was there before the plan.
TEST_P(DiskGuardRace, AStoppedContainersImageIsNotEvenPlanned) {
  make("used/x:1");
  shell("docker create --name stopped used/x:1");
  reclaim_while({});
  EXPECT_THAT(deleted_, IsEmpty());
  EXPECT_THAT(dropped(), IsEmpty());
}

// Another engine answers on the socket, and has an image of the same name and id.
TEST_P(DiskGuardRace, AnEngineOfAnotherDataRootLosesNothing) {
  make("victim/x:1");
  const auto id = shell("docker image inspect -f '{{.Id}}' victim/x:1");
  shell("docker save -o $DIR/victim.tar victim/x:1");
  half_->journal.events.clear();
  swap_engine("other");
  shell("docker load -qi $DIR/victim.tar");
  testing::run_until(loop_, [this] { return half_->journal.count("engine.connected") > 0; });

  reclaim_while([this](const policy::Candidate&) { swap_engine("docker"); });
  EXPECT_THAT(deleted_, IsEmpty());
  auto why = reasons("reclaim.dropped");
  for (auto& reason : reasons("reclaim.rung_failed")) why.push_back(std::move(reason));
  EXPECT_THAT(why, Contains(AnyOf(HasSubstr("another engine"), HasSubstr("went down"), HasSubstr("is away"),
                                  HasSubstr("is down"), HasSubstr("lost track"))));
  EXPECT_EQ(shell("docker image inspect -f '{{.Id}}' victim/x:1"), id);
  // Each has a ledger of its own.
  testing::run_until(loop_, [this] { return half_->engine.status().identity.root_dir == dir() + "/disk/docker"; });
  settle();
  EXPECT_EQ(half_->store.rows.size(), 2U) << "of the first, saved when it went, and of the other";
}

INSTANTIATE_TEST_SUITE_P(OnEngine, DiskGuardRace, ::testing::Values("26.1", "20.10"), [](const auto& param) {
  return std::string("Docker") + (std::string(param.param) == "26.1" ? "26" : "20");
});

}  // namespace
}  // namespace buildwarden::disk
