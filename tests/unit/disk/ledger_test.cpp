#include "daemon/disk/ledger.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>

#include "daemon/disk/ledger_feed.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_image_engine.h"
#include "tests/support/fake_journal.h"
#include "tests/support/run_void.h"

namespace buildwarden::disk {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::run_on;
using testing::run_void;

class LedgerTest : public ::testing::Test {
 protected:
  LedgerTest() { start(); }
  // As a daemon that starts anew with the same store.
  void start() { ledger_ = std::make_unique<Ledger>(clock_, store_, journal_); }
  void connect(std::optional<Duration> gap = std::nullopt) { run_void(loop_, ledger_->connected(identity(), gap)); }
  [[nodiscard]] const ports::EngineIdentity& identity() const { return engine_.engine.identity; }
  void see(const std::vector<std::string>& ids) {
    engine_.images.clear();
    for (const auto& id : ids) engine_.add_image(id, {id + ":tag"}, 1);
    testing::run_void(loop_, ledger_->seen(engine_.ids()));
  }
  [[nodiscard]] Duration age(const std::string& id) const {
    return policy::age_of(ledger_->last_use(id, clock_.now()), clock_.now());
  }
  void flush() { run_void(loop_, ledger_->flush(true)); }

  testing::FakeClock clock_;
  testing::FakeLedgerStore store_;
  testing::FakeJournal journal_;
  testing::FakeImageEngine engine_;
  boost::asio::io_context loop_;
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(LedgerTest, AnImageIsFirstSeenNowAndThenGrowsOlder) {
  connect();
  EXPECT_EQ(age("sha256:a"), Duration{0});
  clock_.advance(hours{1});
  EXPECT_EQ(age("sha256:a"), Duration{0});  // never seen: never old
  see({"sha256:a"});
  clock_.advance(hours{5});
  see({"sha256:a", "sha256:b"});
  EXPECT_EQ(age("sha256:a"), hours{5});
  EXPECT_EQ(age("sha256:b"), Duration{0});
}

TEST_F(LedgerTest, AUseMakesItYoungAndAnOldStampDoesNotMakeItOlder) {
  connect();
  see({"sha256:a"});
  clock_.advance(hours{5});
  ledger_->used("sha256:a", clock_.now().wall - hours{9}, "late news");
  EXPECT_EQ(ledger_->last_use("sha256:a", clock_.now()).at, clock_.now().wall - hours{5});
  ledger_->used("sha256:a", clock_.now().wall, "container start");
  EXPECT_EQ(age("sha256:a"), Duration{0});
  EXPECT_EQ(ledger_->why("sha256:a"), "container start");
}

TEST_F(LedgerTest, AStampFromTheFutureIsNow) {
  connect();
  see({"sha256:a"});
  ledger_->used("sha256:a", clock_.now().wall + hours{9}, "pull");
  EXPECT_EQ(ledger_->last_use("sha256:a", clock_.now()).at, clock_.now().wall);
  clock_.advance(hours{5});
  EXPECT_EQ(age("sha256:a"), hours{5});
}

TEST_F(LedgerTest, AWallClockThatJumpsMakesNothingOld) {
  connect();
  see({"sha256:a"});
  clock_.step_wall(hours{1000});
  clock_.advance(seconds{10});
  EXPECT_EQ(age("sha256:a"), seconds{10});
}

TEST_F(LedgerTest, AgesGoOnOverARestart) {
  connect();
  see({"sha256:a"});
  clock_.advance(hours{5});
  flush();
  clock_.advance(seconds{30});
  start();
  connect();
  see({"sha256:a"});
  // Unwatched time counts by the wall clock alone, so it does not make it older.
  EXPECT_EQ(age("sha256:a"), hours{5});
  EXPECT_EQ(journal_.count("ledger.gap"), 0U);
  clock_.advance(hours{1});
  EXPECT_EQ(age("sha256:a"), hours{6});
}

TEST_F(LedgerTest, ALongGapMakesEveryImageUsedAtItsEnd) {
  connect();
  see({"sha256:a"});
  clock_.advance(hours{5});
  flush();
  clock_.advance(seconds{61});
  start();
  connect();
  EXPECT_EQ(age("sha256:a"), Duration{0});
  EXPECT_EQ(journal_.count("ledger.gap"), 1U);
}

TEST_F(LedgerTest, AGapOfTheEventStreamCountsTheSame) {
  connect();
  see({"sha256:a"});
  clock_.advance(hours{5});
  ledger_->lost();
  EXPECT_FALSE(ledger_->knows(identity()));
  connect(seconds{60});
  EXPECT_TRUE(ledger_->knows(identity()));
  EXPECT_EQ(age("sha256:a"), hours{5});
  connect(seconds{61});
  EXPECT_EQ(age("sha256:a"), Duration{0});
}

// The engine remembers the last event of the daemon before: nothing was lost, however long it was away.
TEST_F(LedgerTest, AGapThatTheEngineReplaysInFullIsNone) {
  connect();
  see({"sha256:a"});
  const auto last = clock_.now().wall;
  ledger_->heard(last, false);
  clock_.advance(hours{5});
  flush();
  clock_.advance(hours{1});
  start();
  ledger_->heard(last, true);
  ledger_->heard(last + seconds{1}, true);
  connect();
  EXPECT_EQ(age("sha256:a"), hours{5});
  EXPECT_EQ(journal_.count("ledger.gap"), 0U);
}

// Its ring has run over, or it was started anew: what happened in between is not known, however short it was.
TEST_F(LedgerTest, AGapThatTheEngineDoesNotReplayInFullMakesEveryImageUsed) {
  connect();
  see({"sha256:a"});
  const auto last = clock_.now().wall;
  ledger_->heard(last, false);
  clock_.advance(hours{5});
  flush();
  clock_.advance(seconds{5});
  start();
  ledger_->heard(last + seconds{1}, true);
  connect();
  EXPECT_EQ(age("sha256:a"), Duration{0});
  EXPECT_NE(journal_.last("ledger.gap").reason.find("does not remember"), std::string::npos);
}

// The engine went and came while the daemon lived: its ring is not what it was, and nothing was missed.
TEST_F(LedgerTest, AnEventOfAnEarlierConnectionProvesNothing) {
  connect();
  see({"sha256:a"});
  ledger_->heard(clock_.now().wall, false);
  clock_.advance(hours{5});
  ledger_->lost();
  connect(seconds{12});
  flush();
  clock_.advance(seconds{5});
  start();
  connect();
  EXPECT_EQ(age("sha256:a"), hours{5});
}

TEST_F(LedgerTest, NobodyListensWhileTheEngineIsLost) {
  connect();
  see({"sha256:a"});
  clock_.advance(hours{5});
  flush();
  ledger_->lost();
  clock_.advance(seconds{59});
  flush();  // rows, but not the word that events were followed until now
  clock_.advance(seconds{59});
  start();
  connect();
  EXPECT_EQ(age("sha256:a"), Duration{0});
}

TEST_F(LedgerTest, AnotherEngineHasItsOwnRows) {
  connect();
  see({"sha256:a"});
  clock_.advance(hours{5});
  flush();
  engine_.engine.identity.root_dir = "/mnt/docker";
  EXPECT_FALSE(ledger_->knows(identity()));
  connect();
  EXPECT_TRUE(ledger_->knows(identity()));
  EXPECT_EQ(age("sha256:a"), Duration{0});
  EXPECT_TRUE(store_.rows["engine-1 /var/lib/docker"].contains("sha256:a"));
  engine_.engine.identity.root_dir = "/var/lib/docker";
  connect();
  EXPECT_EQ(age("sha256:a"), hours{5});
}

TEST_F(LedgerTest, ImagesThatAreGoneAreForgotten) {
  connect();
  see({"sha256:a", "sha256:b"});
  flush();
  see({"sha256:b"});
  flush();
  const auto& rows = store_.rows[ledger_scope(identity())];
  EXPECT_FALSE(rows.contains("sha256:a"));
  EXPECT_TRUE(rows.contains("sha256:b"));
}

TEST_F(LedgerTest, AFailingStoreIsShownAndLosesNothing) {
  connect();
  see({"sha256:a"});
  store_.failure = "disk full";
  run_void(loop_, ledger_->flush(false));
  EXPECT_EQ(ledger_->error(), "disk full");
  clock_.advance(hours{5});
  EXPECT_EQ(age("sha256:a"), hours{5});
  store_.failure.clear();
  run_void(loop_, ledger_->flush(false));
  EXPECT_EQ(ledger_->error(), "");
  EXPECT_TRUE(store_.rows[ledger_scope(identity())].contains("sha256:a"));
}

TEST_F(LedgerTest, RunFlushesOnceMoreAtItsEnd) {
  connect();
  testing::Background running(loop_, ledger_->run());
  loop_.poll();
  see({"sha256:a"});
  ledger_->stop();
  testing::run_until(loop_, [&running] { return running.ended(); });
  EXPECT_TRUE(store_.rows[ledger_scope(identity())].contains("sha256:a"));
}

class LedgerFeedTest : public LedgerTest {
 protected:
  LedgerFeedTest() : feed_(LedgerFeed::Parts{*ledger_, engine_, engine_, clock_, workers_}) {
    engine_.add_image("sha256:aaaabbbbcccc0000", {"alpine:3"}, 1);
    engine_.add_image("sha256:ddddeeeeffff0000", {"web:latest"}, 1);
    feed_.on_connected(identity(), std::nullopt);
    EXPECT_TRUE(run_on(loop_, feed_.turn()));
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
    feed_.on_event(event);
  }
  WorkerPool workers_{1};
  LedgerFeed feed_;
};

TEST_F(LedgerFeedTest, EventsOfContainersUseTheirImagesByWhateverName) {
  tell("container", "start", "docker.io/library/web");
  EXPECT_EQ(age("sha256:ddddeeeeffff0000"), Duration{0});
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), hours{5});
  tell("container", "die", "aaaabbbbcccc");
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), Duration{0});
}

// What the engine replays is news only where the store knows nothing later: ages survive a restart.
TEST_F(LedgerFeedTest, AReplayedUseCountsWhenItIsNews) {
  flush();
  const auto saved = clock_.now().wall;
  ledger_->lost();
  start();
  LedgerFeed feed(LedgerFeed::Parts{*ledger_, engine_, engine_, clock_, workers_});
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
TEST_F(LedgerFeedTest, AListOfAConnectionThatIsGoneIsNotLearned) {
  engine_.on_list = [this] {
    engine_.on_list = {};
    engine_.images.clear();
    feed_.on_lost();
    feed_.on_connected(identity(), seconds{1});
  };
  EXPECT_FALSE(run_on(loop_, feed_.turn()));
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), hours{5});
}

TEST_F(LedgerFeedTest, APullAheadOfAnyUseIsNone) {
  std::string ahead = "docker.io/library/web";
  LedgerFeed feed(LedgerFeed::Parts{*ledger_, engine_, engine_, clock_, workers_, nullptr, [&ahead] { return ahead; }});
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

TEST_F(LedgerFeedTest, RemovalIsNoUse) {
  tell("container", "destroy", "web");
  tell("image", "untag", "sha256:ddddeeeeffff0000");
  tell("image", "delete", "sha256:ddddeeeeffff0000");
  EXPECT_EQ(age("sha256:ddddeeeeffff0000"), hours{5});
  tell("image", "tag", "sha256:ddddeeeeffff0000");
  EXPECT_EQ(age("sha256:ddddeeeeffff0000"), Duration{0});
}

TEST_F(LedgerFeedTest, AUseOfAnUnknownNameIsSettledByTheNextList) {
  engine_.images[0].tags.emplace_back("new:1");
  tell("container", "start", "new:1");
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), hours{5});
  EXPECT_TRUE(run_on(loop_, feed_.turn()));
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), Duration{0});
}

TEST_F(LedgerFeedTest, RunningContainersUseTheirImagesAndExitedOnesDoNot) {
  engine_.add_container("a", "sha256:aaaabbbbcccc0000");
  engine_.add_container("w", "sha256:ddddeeeeffff0000", policy::ContainerState::kExited);
  EXPECT_TRUE(run_on(loop_, feed_.turn()));
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), Duration{0});
  EXPECT_EQ(age("sha256:ddddeeeeffff0000"), hours{5});
}

TEST_F(LedgerFeedTest, AListThatFailsForgetsNothing) {
  engine_.fail.emplace("list", Error(Errc::kTimeout, "slow"));
  EXPECT_FALSE(run_on(loop_, feed_.turn()));
  EXPECT_EQ(age("sha256:aaaabbbbcccc0000"), hours{5});
}

TEST_F(LedgerFeedTest, ItRunsAndStops) {
  testing::Background running(loop_, feed_.run());
  loop_.poll();
  feed_.stop();
  testing::run_until(loop_, [&running] { return running.ended(); });
}

}  // namespace
}  // namespace buildwarden::disk
