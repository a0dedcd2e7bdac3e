#include "daemon/telemetry/event_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "tests/support/fake_clock.h"
#include "tests/support/loop.h"
#include "tests/support/run_void.h"

namespace buildwarden::telemetry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What is stored, and how it fails.
struct FakeEventStore final : ports::EventStore {
  std::vector<ports::RecordedEvent> kept;
  bool complete = true;
  std::string broken;
  int loads = 0;
  int appends = 0;

  boost::asio::awaitable<Result<ports::StoredEvents>> load_events(std::size_t most) override {
    ++loads;
    if (!broken.empty()) co_return Error(Errc::kTooLarge, broken);
    ports::StoredEvents stored;
    stored.complete = complete;
    stored.events = kept;
    while (stored.events.size() > most) stored.events.erase(stored.events.begin());
    co_return stored;
  }
  boost::asio::awaitable<Result<void>> append_events(std::vector<ports::RecordedEvent> events) override {
    ++appends;
    if (!broken.empty()) co_return Error(Errc::kTooLarge, broken);
    kept.insert(kept.end(), events.begin(), events.end());
    co_return Result<void>{};
  }
};

ports::Event event_of(const std::string& kind) {
  ports::Event made;
  made.kind = kind;
  made.reason = "because";
  return made;
}

class EventKeeperTest : public ::testing::Test {
 protected:
  // A daemon's life from here on.
  void begin(std::size_t capacity = 100) {
    keeper.reset();
    log.emplace(clock, capacity);
    keeper.emplace(loop.get_executor(), *log, store, clock);
  }
  void start() { testing::run_void(loop, keeper->start()); }
  void flush() { testing::run_void(loop, keeper->flush()); }
  // One that ended with these events.
  void live(const std::vector<std::string>& kinds) {
    begin();
    start();
    for (const auto& kind : kinds) log->record(event_of(kind));
    flush();
  }
  [[nodiscard]] std::vector<std::uint64_t> ids() const {
    std::vector<std::uint64_t> found;
    for (const auto& one : log->since(0, 1000)) found.push_back(one.id);
    return found;
  }
  [[nodiscard]] std::vector<std::string> stored_kinds() const {
    std::vector<std::string> found;
    for (const auto& one : store.kept) found.push_back(one.event.kind);
    return found;
  }
  [[nodiscard]] std::uint64_t milliseconds() const {
    return static_cast<std::uint64_t>(clock.now().wall.time_since_epoch().count());
  }

  boost::asio::io_context loop;
  testing::FakeClock clock;
  FakeEventStore store;
  std::optional<EventLog> log;
  std::optional<EventKeeper> keeper;
};

TEST_F(EventKeeperTest, NumbersBeginAtOneAndEventsWaitForThem) {
  begin();
  std::vector<std::uint64_t> told;
  const auto following = log->subscribe([&](const ports::RecordedEvent& one) { told.push_back(one.id); });
  log->record(event_of("daemon.started"));
  EXPECT_THAT(ids(), IsEmpty());
  EXPECT_EQ(log->last_id(), 0U);
  start();
  EXPECT_THAT(ids(), ElementsAre(1));
  EXPECT_THAT(told, ElementsAre(1));
  flush();
  EXPECT_THAT(stored_kinds(), ElementsAre("daemon.started"));
  flush();
  EXPECT_EQ(store.appends, 1);
}

TEST_F(EventKeeperTest, NumbersGoOnAfterACleanStop) {
  live({"daemon.started", "disk.level", "daemon.stopped"});
  begin();
  log->record(event_of("daemon.started"));
  start();
  EXPECT_THAT(ids(), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(log->since(0, 2)[1].event.kind, "disk.level");
  EXPECT_EQ(log->since(3, 10).size(), 1U);
  EXPECT_EQ(log->forgotten_id(), 0U);
  flush();
  EXPECT_EQ(store.kept.size(), 4U);
}

TEST_F(EventKeeperTest, AnUncleanEndIsToldAndItsNumbersAreNotUsedAgain) {
  live({"daemon.started", "disk.level"});
  log->record(event_of("disk.level"));  // told to a follower as 3, and lost
  begin();
  log->record(event_of("daemon.started"));
  start();
  EXPECT_THAT(ids(), ElementsAre(1, 2, milliseconds(), milliseconds() + 1));
  const auto last = log->since(milliseconds(), 1).at(0).event;
  EXPECT_EQ(last.kind, "daemon.unclean_end");
  EXPECT_THAT(last.reason, HasSubstr("event 2, disk.level, at 2026-01-01T00:00:00.000Z"));
  flush();
  EXPECT_EQ(store.kept.back().id, milliseconds() + 1);
  // The next start after a second crash in the same millisecond still goes on.
  begin();
  start();
  EXPECT_EQ(log->last_id(), milliseconds() + 2 + log->capacity());
}

// A busy day has more than an event a second, and its last ones are told and not stored when it is killed.
TEST_F(EventKeeperTest, NumbersToldToFollowersAreNotUsedAgainOnABusyDayNorByAClockThatWasSetBack) {
  live({"daemon.started"});
  for (const auto step : {std::chrono::hours{0}, std::chrono::hours{-24}, std::chrono::hours{24}}) {
    begin(1000);
    start();
    for (int second = 0; second < 20; ++second) {
      for (int i = 0; i < 30; ++i) log->record(event_of("reclaim.step"));
      if (second < 19) flush();
      clock.advance(std::chrono::seconds{1});
    }
    const auto told = log->last_id();
    clock.step_wall(step);
    begin(1000);
    start();
    ASSERT_EQ(log->since(told, 1000).size(), 1U);
    EXPECT_EQ(log->since(told, 1)[0].event.kind, "daemon.unclean_end");
  }
}

// Else a start that nobody stored hides behind the clean stop before it.
TEST_F(EventKeeperTest, TheStartIsStoredAtOnce) {
  live({"daemon.started", "daemon.stopped"});
  begin();
  log->record(event_of("daemon.started"));
  testing::Background running(loop, keeper->run());
  loop.restart();
  loop.poll();
  EXPECT_THAT(stored_kinds(), ElementsAre("daemon.started", "daemon.stopped", "daemon.started"));
  keeper->stop();
  testing::run_until(loop, [&] { return running.ended(); });
}

TEST_F(EventKeeperTest, AStoreThatWasBegunAnewDoesNotBringBackOldNumbers) {
  store.complete = false;
  begin();
  log->record(event_of("daemon.started"));
  start();
  EXPECT_THAT(ids(), ElementsAre(milliseconds()));
}

TEST_F(EventKeeperTest, OnlyTheLatestAreRememberedAndTheRestIsForgotten) {
  live({"daemon.started", "a", "b", "c", "daemon.stopped"});
  begin(3);
  start();
  EXPECT_THAT(ids(), ElementsAre(3, 4, 5));
  EXPECT_EQ(log->forgotten_id(), 2U);
  log->record(event_of("daemon.started"));
  EXPECT_THAT(ids(), ElementsAre(4, 5, 6));
  EXPECT_EQ(log->forgotten_id(), 3U);
}

TEST_F(EventKeeperTest, AStoreThatFailsIsSeenCostsNothingAndIsTriedAgain) {
  live({"daemon.started", "daemon.stopped"});
  begin();
  store.broken = "database or disk is full";
  log->record(event_of("daemon.started"));
  start();
  EXPECT_EQ(log->error(), "database or disk is full");
  EXPECT_THAT(ids(), ElementsAre(milliseconds(), milliseconds() + 1));
  EXPECT_EQ(log->since(milliseconds(), 1).at(0).event.kind, "state.not_saved");
  flush();
  flush();
  EXPECT_EQ(log->counts().at("state.not_saved"), 1U);  // once, not at each try
  EXPECT_EQ(store.appends, 1);                         // nothing is appended to what was not read
  store.broken.clear();
  flush();
  EXPECT_EQ(log->error(), "");
  EXPECT_THAT(ids(), ElementsAre(1, 2, milliseconds(), milliseconds() + 1, milliseconds() + 2));
  EXPECT_THAT(stored_kinds(), ElementsAre("daemon.started", "daemon.stopped", "daemon.started", "state.not_saved",
                                          "state.saved_again"));
}

TEST_F(EventKeeperTest, WhatCouldNotBeAppendedIsAppendedLater) {
  live({"daemon.started"});
  store.broken = "full";
  log->record(event_of("a"));
  flush();
  EXPECT_EQ(log->error(), "full");
  log->record(event_of("b"));
  store.broken.clear();
  flush();
  EXPECT_THAT(stored_kinds(), ElementsAre("daemon.started", "a", "state.not_saved", "b", "state.saved_again"));
}

TEST_F(EventKeeperTest, ItRunsABatchBehindSleepsInBetweenAndSavesTheRestWhenStopped) {
  begin();
  testing::Background running(loop, keeper->run());
  log->record(event_of("daemon.started"));
  testing::run_until(loop, [&] { return store.kept.size() == 1; });
  loop.restart();
  loop.poll();
  EXPECT_EQ(loop.poll(), 0U);  // nothing to do, nothing to wait for but an event
  EXPECT_EQ(store.appends, 1);
  log->record(event_of("a"));
  log->record(event_of("b"));
  loop.poll();
  EXPECT_EQ(store.appends, 1);  // the batch is gathering
  keeper->stop();
  testing::run_until(loop, [&] { return running.ended(); });
  EXPECT_THAT(stored_kinds(), ElementsAre("daemon.started", "a", "b"));
  EXPECT_EQ(store.appends, 2);
}

TEST_F(EventKeeperTest, ManyEventsDoNotWaitForTheirBatch) {
  begin(40);
  testing::Background running(loop, keeper->run());
  testing::run_until(loop, [&] { return store.loads == 1; });
  for (int at = 0; at < 9; ++at) log->record(event_of("a"));
  loop.poll();
  EXPECT_EQ(store.appends, 0);
  log->record(event_of("a"));
  loop.restart();
  loop.poll();
  EXPECT_EQ(store.kept.size(), 10U);
  keeper->stop();
  testing::run_until(loop, [&] { return running.ended(); });
}

TEST_F(EventKeeperTest, AStopBeforeTheStartStillSavesWhatThereIs) {
  begin();
  log->record(event_of("daemon.stopped"));
  keeper->stop();
  testing::run_void(loop, keeper->run());
  EXPECT_THAT(stored_kinds(), ElementsAre("daemon.stopped"));
}

}  // namespace
}  // namespace buildwarden::telemetry
