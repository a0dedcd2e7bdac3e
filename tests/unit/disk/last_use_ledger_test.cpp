#include "daemon/last_use/last_use_ledger.h"

#include <gtest/gtest.h>

#include "tests/unit/disk/ledger_fixture.h"

namespace buildwarden::disk {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::run_on;
using testing::run_void;

TEST_F(LastUseLedgerTest, AnImageIsFirstSeenNowAndThenGrowsOlder) {
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

TEST_F(LastUseLedgerTest, AUseMakesItYoungAndAnOldStampDoesNotMakeItOlder) {
  connect();
  see({"sha256:a"});
  clock_.advance(hours{5});
  ledger_->used("sha256:a", clock_.now().wall - hours{9}, "late news");
  EXPECT_EQ(ledger_->last_use("sha256:a", clock_.now()).at, clock_.now().wall - hours{5});
  ledger_->used("sha256:a", clock_.now().wall, "container start");
  EXPECT_EQ(age("sha256:a"), Duration{0});
  EXPECT_EQ(ledger_->why("sha256:a"), "container start");
}

TEST_F(LastUseLedgerTest, AStampFromTheFutureIsNow) {
  connect();
  see({"sha256:a"});
  ledger_->used("sha256:a", clock_.now().wall + hours{9}, "pull");
  EXPECT_EQ(ledger_->last_use("sha256:a", clock_.now()).at, clock_.now().wall);
  clock_.advance(hours{5});
  EXPECT_EQ(age("sha256:a"), hours{5});
}

TEST_F(LastUseLedgerTest, AWallClockThatJumpsMakesNothingOld) {
  connect();
  see({"sha256:a"});
  clock_.step_wall(hours{1000});
  clock_.advance(seconds{10});
  EXPECT_EQ(age("sha256:a"), seconds{10});
}

TEST_F(LastUseLedgerTest, AgesGoOnOverARestart) {
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

TEST_F(LastUseLedgerTest, ALongGapMakesEveryImageUsedAtItsEnd) {
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

TEST_F(LastUseLedgerTest, AGapOfTheEventStreamCountsTheSame) {
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
TEST_F(LastUseLedgerTest, AGapThatTheEngineReplaysInFullIsNone) {
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
TEST_F(LastUseLedgerTest, AGapThatTheEngineDoesNotReplayInFullMakesEveryImageUsed) {
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
TEST_F(LastUseLedgerTest, AnEventOfAnEarlierConnectionProvesNothing) {
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

TEST_F(LastUseLedgerTest, NobodyListensWhileTheEngineIsLost) {
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

TEST_F(LastUseLedgerTest, AnotherEngineHasItsOwnRows) {
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

TEST_F(LastUseLedgerTest, ImagesThatAreGoneAreForgotten) {
  connect();
  see({"sha256:a", "sha256:b"});
  flush();
  see({"sha256:b"});
  flush();
  const auto& rows = store_.rows[ledger_scope(identity())];
  EXPECT_FALSE(rows.contains("sha256:a"));
  EXPECT_TRUE(rows.contains("sha256:b"));
}

TEST_F(LastUseLedgerTest, AFailingStoreIsShownAndLosesNothing) {
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

TEST_F(LastUseLedgerTest, RunFlushesOnceMoreAtItsEnd) {
  connect();
  testing::Background running(loop_, ledger_->run());
  loop_.poll();
  see({"sha256:a"});
  ledger_->stop();
  testing::run_until(loop_, [&running] { return running.ended(); });
  EXPECT_TRUE(store_.rows[ledger_scope(identity())].contains("sha256:a"));
}

}  // namespace
}  // namespace buildwarden::disk
