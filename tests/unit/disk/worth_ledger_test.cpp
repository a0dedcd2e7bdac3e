#include "daemon/last_use/worth_ledger.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "daemon/last_use/last_use_ledger.h"
#include "tests/unit/disk/worth_fixture.h"

namespace buildwarden::disk {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::run_void;

class WorthLedgerTest : public WorthFixture {
 protected:
  WorthLedgerTest() { start(); }
  // As a daemon that starts anew with the same store.
  void start() {
    worth_ = std::make_unique<WorthLedger>(WorthLedger::Parts{clock_, store_, workers_});
    connect();
  }
  void flush() { run_void(loop_, worth_->flush()); }
  void restart() {
    flush();
    start();
  }
  [[nodiscard]] policy::ImageFacts facts(const std::string& id) const { return worth_->facts_of(id, clock_.now()); }
  [[nodiscard]] std::size_t rows() { return store_.rows[ledger_scope(engine_.engine.identity)].size(); }
  [[nodiscard]] policy::CacheRecord record(const std::string& description) const {
    policy::CacheRecord made;
    made.id = "id-of-" + description;
    made.description = description;
    made.created = clock_.now().wall;
    made.last_used = made.created;
    return made;
  }
};

TEST_F(WorthLedgerTest, UsesAreCountedAndKeptOverARestart) {
  engine_.add_image("sha256:a", {"web:1"}, kGiB);
  see();
  EXPECT_EQ(facts("sha256:a").use.uses, 0U) << "seen, not used";
  const auto first = clock_.now().wall;
  for (int i = 0; i < 3; ++i) {
    clock_.advance(minutes{10});
    worth_->used("sha256:a", clock_.now().wall);
  }
  restart();
  const auto use = facts("sha256:a").use;
  EXPECT_EQ(use.uses, 3U);
  EXPECT_EQ(use.last_use, clock_.now().wall);
  EXPECT_GE(use.first_seen, first);
}

TEST_F(WorthLedgerTest, APullAndTheContainerThatItWasForAreOneUse) {
  worth_->used("sha256:a", clock_.now().wall);
  clock_.advance(seconds{2});
  worth_->used("sha256:a", clock_.now().wall);
  EXPECT_EQ(facts("sha256:a").use.uses, 1U);
  clock_.advance(seconds{5});
  worth_->used("sha256:a", clock_.now().wall);
  EXPECT_EQ(facts("sha256:a").use.uses, 2U);
}

TEST_F(WorthLedgerTest, WhatIsGoneIsForgotten) {
  engine_.add_image("sha256:a", {"web:1"}, kGiB);
  see();
  flush();
  EXPECT_EQ(rows(), 1U);
  engine_.images.clear();
  see();
  flush();
  EXPECT_EQ(rows(), 0U);
}

TEST_F(WorthLedgerTest, AnOwnPullTellsWhatTheImageCostsAndItsRegistrysRate) {
  worth_->pulled("docker.io/library/web:1", seconds{20});
  engine_.add_image("sha256:a", {"web:1"}, kGiB);
  see();
  EXPECT_DOUBLE_EQ(facts("sha256:a").seconds.value_or(0), 20);
  EXPECT_EQ(facts("sha256:a").use.first_seen, clock_.now().wall);
  restart();
  EXPECT_EQ(facts("sha256:a").use.first_seen, clock_.now().wall);
  EXPECT_DOUBLE_EQ(facts("sha256:a").seconds.value_or(0), 20);
  EXPECT_DOUBLE_EQ(worth_->rates().of("docker.io"), kGiB / 20.0);
}

TEST_F(WorthLedgerTest, WhatStepsTookIsKeptOverARestartByBuilder) {
  const auto made = record("mount / from exec /bin/sh -c sleep 8");
  std::vector<policy::BuildStep> steps = {{"[2/2] RUN sleep 8", made.created - seconds{8}, made.created}};
  run_void(loop_, worth_->learn_steps("s3", steps, {made}));
  const auto slot = policy::slots_of({made}, "s3")[0];
  restart();
  const auto slots = worth_->slots_of("s3");
  ASSERT_TRUE(slots->contains(slot));
  EXPECT_DOUBLE_EQ(slots->at(slot).seconds.value_or(0), 8);
  EXPECT_EQ(slots->at(slot).history.use.uses, 1U);
  EXPECT_TRUE(worth_->slots_of("other")->empty());
  clock_.advance(hours{30});
  run_void(loop_, worth_->learn_steps("s3", {}, {}));
  flush();
  EXPECT_EQ(rows(), 0U) << "gone for a day";
}

// Two looks at one cache at a time: the one that comes late must not undo what the other learned.
TEST_F(WorthLedgerTest, ALookOnOldGroundIsNotKept) {
  const auto before = worth_->slots_of("s3");
  const auto made = record("[2/2] COPY . .");
  run_void(loop_, worth_->learn_steps("s3", {}, {made}));
  const auto late = std::make_shared<const policy::SlotsLearned>();
  EXPECT_FALSE(testing::run_on(loop_, worth_->keep("s3", before, late)));
  EXPECT_EQ(worth_->slots_of("s3")->size(), 1U);
}

TEST_F(WorthLedgerTest, FactsHoldForOneEngine) {
  worth_->used("sha256:a", clock_.now().wall);
  engine_.engine.identity.id = "another";
  connect();
  EXPECT_TRUE(store_.rows[ledger_scope(engine_.engine.identity)].empty());
  clock_.advance(minutes{1});
  EXPECT_EQ(facts("sha256:a").use.first_seen, clock_.now().wall);
  engine_.engine.identity.id = "engine-1";
  connect();
  EXPECT_EQ(facts("sha256:a").use.first_seen, clock_.now().wall - minutes{1});
}

TEST_F(WorthLedgerTest, WhatCouldNotBeSavedIsSavedLater) {
  store_.failure = "the disk is full";
  worth_->used("sha256:a", clock_.now().wall);
  flush();
  EXPECT_EQ(worth_->error(), "the disk is full");
  store_.failure.clear();
  flush();
  EXPECT_EQ(worth_->error(), "");
  EXPECT_EQ(rows(), 1U);
}

// What became of a row while the save failed is newer than what could not be saved.
TEST_F(WorthLedgerTest, ARowThatGoesOrComesWhileASaveFailsIsLeftAsItIs) {
  engine_.add_image("sha256:a", {"web:1"}, kGiB);
  see();
  flush();
  clock_.advance(minutes{1});
  worth_->used("sha256:a", clock_.now().wall);
  const auto with_failing_save = [&](std::function<void()> meanwhile) {
    store_.failure = "the disk is full";
    store_.while_saving = std::move(meanwhile);
    flush();
    store_.failure.clear();
    store_.while_saving = nullptr;
    flush();
  };
  const auto images = engine_.images;
  const auto goes = [&] {
    engine_.images.clear();
    auto none = std::make_shared<const std::vector<ports::ImageRecord>>();
    boost::asio::co_spawn(loop_, worth_->seen(none), boost::asio::detached);
    loop_.poll();
  };
  with_failing_save(goes);
  EXPECT_EQ(rows(), 0U) << "it is gone";
  worth_->used("sha256:a", clock_.now().wall);
  flush();
  see();
  with_failing_save([&] { worth_->used("sha256:a", clock_.now().wall); });
  EXPECT_EQ(rows(), 1U) << "it came back while it was to be forgotten";
  restart();
  EXPECT_EQ(facts("sha256:a").use.uses, 1U);
}

TEST_F(WorthLedgerTest, ASlotThatIsDirtyAndThenForgottenIsForgottenOnce) {
  const auto made = record("[2/2] COPY . .");
  run_void(loop_, worth_->learn_steps("s3", {}, {made}));
  store_.failure = "the disk is full";
  flush();
  clock_.advance(hours{30});
  run_void(loop_, worth_->learn_steps("s3", {}, {}));
  flush();
  store_.failure.clear();
  flush();
  EXPECT_EQ(rows(), 0U);
  EXPECT_EQ(worth_->error(), "");
}

}  // namespace
}  // namespace buildwarden::disk
