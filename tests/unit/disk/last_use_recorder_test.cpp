#include "daemon/last_use/last_use_recorder.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/disk/ledger_fixture.h"

namespace buildwarden::disk {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::run_on;
using testing::run_void;

class LastUseRecorderTest : public LastUseLedgerTest {
 protected:
  LastUseRecorderTest() : recorder_(LastUseRecorder::Parts{*ledger_, engine_, engine_, clock_, workers_}) {
    engine_.add_image("sha256:aaaabbbbcccc0000", {"alpine:3"}, 1);
    engine_.add_image("sha256:ddddeeeeffff0000", {"web:latest"}, 1);
    recorder_.on_connected(identity(), std::nullopt);
    EXPECT_TRUE(run_on(loop_, recorder_.turn()));
    clock_.advance(hours{5});
  }
  void tell(const std::string& type, const std::string& action, const std::string& image) {
    tell_of(clock_.now().wall, false, type, action, image);
  }
  void tell_of(WallTime at, bool before_start, const std::string& type, const std::string& action,
               const std::string& image) {
    ports::EngineEvent event;
    event.before_start = before_start;
    event.type = type;
    event.action = action;
    event.id = image;
    event.at = at;
    if (type == "container") event.attributes["image"] = image;
    recorder_.on_event(event);
  }
  WorkerPool workers_{1};
  LastUseRecorder recorder_;
};

TEST_F(LastUseRecorderTest, EventsOfContainersUseTheirImagesByWhateverName) {
  tell("container", "start", "docker.io/library/web");
  EXPECT_EQ(age("sha256:ddddeeeeffff0000"), Duration{0});
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), hours{5});
  tell("container", "die", "aaaabbbbcccc");
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), Duration{0});
}

// Issue 18: only a container that is made now shows that an image was there when it was needed.
TEST_F(LastUseRecorderTest, AContainerThatIsMadeSavesItsImagesCost) {
  testing::FakeWorthStore store;
  SavingsLedger savings({clock_, store});
  run_void(loop_, savings.load());
  WorthLedger worth({clock_, store, workers_, &savings});
  LastUseRecorder::Parts parts{*ledger_, engine_, engine_, clock_, workers_};
  parts.worth = &worth;
  LastUseRecorder feed(parts);
  feed.on_connected(identity(), std::nullopt);
  EXPECT_TRUE(run_on(loop_, feed.turn()));
  clock_.advance(hours{1});
  const auto uses_after = [&](const std::string& type, const std::string& action, bool before_start) {
    ports::EngineEvent event;
    event.type = type;
    event.action = action;
    event.id = "web:latest";
    event.at = clock_.now().wall;
    event.before_start = before_start;
    event.attributes["image"] = "web:latest";
    feed.on_event(event);
    EXPECT_TRUE(run_on(loop_, feed.turn()));
    return savings.savings_view().host->at(0).saved.total.times;
  };
  EXPECT_EQ(uses_after("image", "tag", false), 0U);
  EXPECT_EQ(uses_after("container", "start", false), 0U);
  EXPECT_EQ(uses_after("container", "create", true), 0U) << "before the daemon's start";
  clock_.advance(hours{1});
  EXPECT_EQ(uses_after("container", "create", false), 1U);
}

// What the engine replays is news only where the store knows nothing later: ages survive a restart.
TEST_F(LastUseRecorderTest, AReplayedUseCountsWhenItIsNews) {
  flush();
  const auto saved = clock_.now().wall;
  ledger_->lost();
  start();
  LastUseRecorder feed(LastUseRecorder::Parts{*ledger_, engine_, engine_, clock_, workers_});
  ports::EngineEvent event;
  event.type = "container";
  event.action = "start";
  event.before_start = true;
  clock_.advance(seconds{30});
  event.at = saved - hours{6};
  event.attributes["image"] = "alpine:3";
  feed.on_event(event);
  event.at = saved + seconds{10};
  event.attributes["image"] = "web";
  feed.on_event(event);
  feed.on_connected(identity(), std::nullopt);
  EXPECT_TRUE(run_on(loop_, feed.turn()));
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), hours{5});
  EXPECT_EQ(age("sha256:ddddeeeeffff0000"), Duration{0});
  EXPECT_EQ(ledger_->last_use("sha256:ddddeeeeffff0000", clock_.now()).at, saved + seconds{10});
}

// A list that was made on one engine must not be taken for the next one's.
TEST_F(LastUseRecorderTest, AListOfAConnectionThatIsGoneIsNotLearned) {
  engine_.on_list = [this] {
    engine_.on_list = {};
    engine_.images.clear();
    recorder_.on_lost();
    recorder_.on_connected(identity(), seconds{1});
  };
  EXPECT_FALSE(run_on(loop_, recorder_.turn()));
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), hours{5});
}

TEST_F(LastUseRecorderTest, APullAheadOfAnyUseIsNone) {
  std::string ahead = "docker.io/library/web";
  LastUseRecorder feed(
      LastUseRecorder::Parts{*ledger_, engine_, engine_, clock_, workers_, nullptr, [&ahead] { return ahead; }});
  EXPECT_TRUE(run_on(loop_, feed.turn()));
  ports::EngineEvent event;
  event.type = "image";
  event.action = "pull";
  event.id = "web:latest";
  event.at = clock_.now().wall;
  feed.on_connected(identity(), Duration{1});
  EXPECT_TRUE(run_on(loop_, feed.turn()));
  feed.on_event(event);
  EXPECT_EQ(age("sha256:ddddeeeeffff0000"), hours{5});
  engine_.add_image("sha256:99990000ffff0000", {"fresh:1"}, 1);
  ahead = "fresh:1";
  event.id = "fresh:1";
  feed.on_event(event);
  EXPECT_TRUE(run_on(loop_, feed.turn()));
  EXPECT_EQ(ledger_->why("sha256:99990000ffff0000"), "first seen");
  clock_.advance(hours{1});
  ahead.clear();
  event.at = clock_.now().wall;
  feed.on_event(event);
  EXPECT_EQ(ledger_->why("sha256:99990000ffff0000"), "image pull") << "somebody else's";
}

TEST_F(LastUseRecorderTest, RemovalIsNoUse) {
  tell("container", "destroy", "web");
  tell("image", "untag", "sha256:ddddeeeeffff0000");
  tell("image", "delete", "sha256:ddddeeeeffff0000");
  EXPECT_EQ(age("sha256:ddddeeeeffff0000"), hours{5});
  tell("image", "tag", "sha256:ddddeeeeffff0000");
  EXPECT_EQ(age("sha256:ddddeeeeffff0000"), Duration{0});
}

TEST_F(LastUseRecorderTest, AUseOfAnUnknownNameIsSettledByTheNextList) {
  engine_.images[0].tags.emplace_back("new:1");
  tell("container", "start", "new:1");
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), hours{5});
  EXPECT_TRUE(run_on(loop_, recorder_.turn()));
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), Duration{0});
}

TEST_F(LastUseRecorderTest, RunningContainersUseTheirImagesAndExitedOnesDoNot) {
  engine_.add_container("a", "sha256:aaaabbbbcccc0000");
  engine_.add_container("w", "sha256:ddddeeeeffff0000", policy::ContainerState::kExited);
  EXPECT_TRUE(run_on(loop_, recorder_.turn()));
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), Duration{0});
  EXPECT_EQ(age("sha256:ddddeeeeffff0000"), hours{5});
}

TEST_F(LastUseRecorderTest, AListThatFailsForgetsNothing) {
  engine_.fail.emplace("list", Error(Errc::kTimeout, "slow"));
  EXPECT_FALSE(run_on(loop_, recorder_.turn()));
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), hours{5});
}

TEST_F(LastUseRecorderTest, EventsUseImagesByDigestAndByShortId) {
  engine_.images[0].tags.clear();
  engine_.images[0].digests = {"r:5000/team/tool@sha256:74e7"};
  EXPECT_TRUE(run_on(loop_, recorder_.turn()));
  for (const std::string name :
       {"r:5000/team/tool@sha256:74e7", "r:5000/team/tool:1@sha256:74e7", "aaaab", "sha256:aa"}) {
    clock_.advance(hours{5});
    tell("container", "start", name);
    EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), Duration{0}) << name;
  }
  tell("image", "pull", "r:5000/team/tool:1@sha256:74e7");
  EXPECT_EQ(ledger_->why("sha256:aaaabbbbcccc0000"), "image pull");
  EXPECT_EQ(age("sha256:ddddeeeeffff0000"), hours{25});
}

// Its image may have lost that name, or another one may have it.
TEST_F(LastUseRecorderTest, EventsOfAListedContainerUseItsImageWhateverItsNameMeans) {
  engine_.add_container("check", "sha256:aaaabbbbcccc0000", policy::ContainerState::kExited);
  engine_.containers.back().id = "c1";
  EXPECT_TRUE(run_on(loop_, recorder_.turn()));
  ports::EngineEvent event;
  event.type = "container";
  event.action = "exec_start: true";
  event.id = "c1";
  event.at = clock_.now().wall;
  event.attributes["image"] = "web";
  recorder_.on_event(event);
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), Duration{0});
  EXPECT_EQ(age("sha256:ddddeeeeffff0000"), hours{5});
}

// Health checks of four containers whose image no list has: one list, not one for each event.
TEST_F(LastUseRecorderTest, ANameThatNoListHasIsLookedForOnce) {
  tell("container", "exec_start: check", "gone:1");
  EXPECT_TRUE(recorder_.wants_listing());
  EXPECT_TRUE(run_on(loop_, recorder_.turn()));
  for (int i = 0; i < 50; ++i) tell("container", "exec_start: check", "gone:1");
  EXPECT_FALSE(recorder_.wants_listing());
  tell("container", "start", "new:1");
  EXPECT_TRUE(recorder_.wants_listing()) << "another name may be of an image that has just come";
}

TEST_F(LastUseRecorderTest, AMountedImageIsUsed) {
  engine_.add_container("a", "sha256:aaaabbbbcccc0000");
  engine_.containers.back().id = "c1";
  engine_.containers.back().mounted_images = {"docker.io/library/web"};
  EXPECT_TRUE(run_on(loop_, recorder_.turn()));
  EXPECT_EQ(age("sha256:ddddeeeeffff0000"), Duration{0});
}

// One that lives for a moment is in no list: it is asked as soon as it is made.
TEST_F(LastUseRecorderTest, AnImageThatANewContainerMountsIsUsed) {
  testing::Background running(loop_, recorder_.run());
  loop_.poll();
  engine_.add_container("a", "sha256:aaaabbbbcccc0000");
  engine_.containers.back().id = "aaaabbbbcccc0000";
  engine_.containers.back().mounted_images = {"dddd"};
  tell("container", "create", "aaaabbbbcccc0000");
  testing::run_until(loop_, [this] { return age("sha256:ddddeeeeffff0000") == Duration{0}; });
  EXPECT_EQ(ledger_->why("sha256:ddddeeeeffff0000"), "mounted by a container");
  recorder_.stop();
  testing::run_until(loop_, [&running] { return running.ended(); });
}

TEST_F(LastUseRecorderTest, WhatAnImageIsBuiltOnWasUsedWithIt) {
  engine_.images[0].layers = {1};
  EXPECT_TRUE(run_on(loop_, recorder_.turn()));
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), hours{5});
  engine_.add_image("sha256:99990000ffff0000", {"app:1"}, 1);
  engine_.images.back().layers = {1, 2};
  tell("image", "tag", "sha256:99990000ffff0000");
  EXPECT_TRUE(run_on(loop_, recorder_.turn()));
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), Duration{0});
  EXPECT_EQ(ledger_->why("sha256:aaaabbbbcccc0000"), "an image that is built on it: image tag");
  EXPECT_EQ(age("sha256:ddddeeeeffff0000"), hours{5});
  // It was so, also when the other image is gone.
  engine_.images.pop_back();
  clock_.advance(hours{1});
  EXPECT_TRUE(run_on(loop_, recorder_.turn()));
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), hours{1});
}

TEST_F(LastUseRecorderTest, ItRunsAndStops) {
  testing::Background running(loop_, recorder_.run());
  loop_.poll();
  recorder_.stop();
  testing::run_until(loop_, [&running] { return running.ended(); });
}

}  // namespace
}  // namespace buildwarden::disk
