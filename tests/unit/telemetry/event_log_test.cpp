#include "daemon/telemetry/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/support/fake_clock.h"

namespace buildwarden::telemetry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

ports::Event event(std::string kind, std::string reason = "because") {
  ports::Event made;
  made.kind = std::move(kind);
  made.reason = std::move(reason);
  return made;
}

std::vector<std::uint64_t> ids(const std::vector<ports::RecordedEvent>& events) {
  std::vector<std::uint64_t> found;
  for (const auto& one : events) found.push_back(one.id);
  return found;
}

TEST(EventLog, StampsEventsWithTimeAndNumbersThatGrow) {
  testing::FakeClock clock;
  EventLog log(clock);
  log.record(event("disk.level"));
  clock.advance(std::chrono::seconds{5});
  log.record(event("job.started"));
  const auto events = log.since(0, 10);
  ASSERT_THAT(ids(events), ElementsAre(1, 2));
  EXPECT_EQ(events[0].event.kind, "disk.level");
  EXPECT_EQ(events[1].at - events[0].at, std::chrono::seconds{5});
  EXPECT_EQ(log.last_id(), 2);
}

TEST(EventLog, ForgetsTheOldestButNeverReusesANumber) {
  const testing::FakeClock clock;
  EventLog log(clock, 3);
  for (int i = 0; i < 5; ++i) log.record(event("disk.level"));
  EXPECT_THAT(ids(log.since(0, 10)), ElementsAre(3, 4, 5));
  EXPECT_EQ(log.last_id(), 5);
}

TEST(EventLog, GivesWhatIsNewerAtMostSoMany) {
  const testing::FakeClock clock;
  EventLog log(clock, 4);
  EXPECT_THAT(ids(log.since(0, 10)), IsEmpty());
  for (int i = 0; i < 6; ++i) log.record(event("disk.level"));
  EXPECT_THAT(ids(log.since(4, 10)), ElementsAre(5, 6));
  EXPECT_THAT(ids(log.since(2, 2)), ElementsAre(3, 4));
  EXPECT_THAT(ids(log.since(1, 2)), ElementsAre(3, 4));
  EXPECT_THAT(ids(log.since(6, 10)), IsEmpty());
  EXPECT_THAT(ids(log.since(~std::uint64_t{0}, 10)), IsEmpty());
}

TEST(EventLog, TellsIdsByTwelveDigits) {
  const testing::FakeClock clock;
  EventLog log(clock);
  const auto id = "0123456789ab" + std::string(52, 'c');
  auto removed = event("k");
  removed.reason = "container " + id + " is gone";
  removed.fields = {{"id", id}};
  log.record(removed);
  const auto kept = log.since(0, 1);
  EXPECT_EQ(kept.front().event.reason, "container 0123456789ab is gone");
  EXPECT_EQ(std::get<std::string>(kept.front().event.fields.front().second), id);
}

TEST(EventLog, JournaldFindsAnEventByItsKindItsRuleAndItsFields) {
  auto step = event("reclaim.step");
  step.rule = "free_below_low";
  step.fields = {{"freed_bytes", std::int64_t{7}}, {"builder", "s3\x1b"}, {"dry_run", false}, {"kind", "images"}};
  EXPECT_THAT(journal_fields(step),
              ElementsAre(std::pair("BUILDWARDEN_KIND", "reclaim.step"), std::pair("BUILDWARDEN_KIND", "reclaim"),
                          std::pair("BUILDWARDEN_RULE", "free_below_low"), std::pair("BUILDWARDEN_FREED_BYTES", "7"),
                          std::pair("BUILDWARDEN_BUILDER", "s3\\x1b"), std::pair("BUILDWARDEN_DRY_RUN", "false")));
}

// Issue 14: 12,000 pairs of job events pushed everything else out of the journal.
TEST(EventLog, WhatIsMadeOnDemandPushesOutNothingElse) {
  const testing::FakeClock clock;
  EventLog log(clock, 6);
  log.record(event("disk.level"));
  auto plan = event("reclaim.step");
  plan.fields = {{"dry_run", true}};
  auto deleted = event("reclaim.step");
  deleted.fields = {{"dry_run", false}};
  log.record(deleted);
  for (int i = 0; i < 100; ++i) {
    log.record(event("job.started"));
    log.record(plan);
  }
  log.record(event("builder.state"));
  EXPECT_THAT(ids(log.since(0, 10)), ElementsAre(1, 2, 200, 201, 202, 203)) << "in order, as if there were one";
  EXPECT_THAT(ids(log.since(1, 2)), ElementsAre(2, 200));
  EXPECT_EQ(log.forgotten_id(), 0U) << "no follower is dropped for jobs";
  for (int i = 0; i < 6; ++i) log.record(event("disk.level"));
  EXPECT_EQ(log.forgotten_id(), 203U);
  EXPECT_THAT(ids(log.since(0, 10)), ElementsAre(200, 201, 202, 204, 205, 206, 207, 208, 209));
}

TEST(EventLog, RemembersOfEachSortAsMuchAsItHasRoomFor) {
  const testing::FakeClock clock;
  EventLog log(clock, 4);
  std::vector<ports::RecordedEvent> past;
  for (std::uint64_t id = 1; id <= 10; ++id) past.push_back({id, {}, event(id <= 3 ? "disk.level" : "job.ended")});
  log.begin(11);
  log.record(event("daemon.started"));
  log.remember(past);
  EXPECT_THAT(ids(log.since(0, 20)), ElementsAre(1, 2, 3, 9, 10, 11));
}

TEST(EventLog, CountsByKindWithoutBoundOnlyInTheNumbers) {
  const testing::FakeClock clock;
  EventLog log(clock, 2);
  log.record(event("a"));
  log.record(event("b"));
  log.record(event("a"));
  EXPECT_THAT(log.counts(), ElementsAre(Pair("a", 2), Pair("b", 1)));
  for (int i = 0; i < 100; ++i) log.record(event("kind" + std::to_string(i)));
  EXPECT_EQ(log.counts().size(), kMostKinds + 1);
  EXPECT_EQ(log.counts().at("other"), 100 - (kMostKinds - 2));
}

TEST(EventLog, TellsFollowersUntilTheyLetGo) {
  const testing::FakeClock clock;
  EventLog log(clock);
  std::vector<std::uint64_t> seen;
  auto following = log.subscribe([&](const ports::RecordedEvent& recorded) { seen.push_back(recorded.id); });
  log.record(event("a"));
  log.record(event("b"));
  following.reset();
  log.record(event("c"));
  EXPECT_THAT(seen, ElementsAre(1, 2));
}

TEST(EventLog, AFollowerMayRecordAndLetGoWhileItIsTold) {
  const testing::FakeClock clock;
  EventLog log(clock, 1);
  std::vector<std::string> seen;
  std::shared_ptr<void> following;
  following = log.subscribe([&](const ports::RecordedEvent& recorded) {
    following.reset();
    log.record(event("second"));
    seen.push_back(recorded.event.kind);
  });
  log.record(event("first"));
  EXPECT_THAT(seen, ElementsAre("first"));
  EXPECT_EQ(log.last_id(), 2);
}

TEST(JournalLine, HasKindRuleReasonAndFields) {
  ports::Event made = event("disk.level", "4.9 GiB free, below 5.0 GiB");
  made.rule = "free_below_critical";
  made.fields = {{"free_bytes", std::int64_t{5261334937}},
                 {"mount", std::string("/var/lib/my docker")},
                 {"dry_run", false},
                 {"rate", 1.5},
                 {"name", std::string("a\"b")},
                 {"none", std::string()}};
  EXPECT_EQ(journal_line(made),
            "disk.level free_below_critical: 4.9 GiB free, below 5.0 GiB {free_bytes=5261334937 "
            "mount=\"/var/lib/my docker\" dry_run=false rate=1.5 name=\"a\\\"b\" none=\"\"}");
  EXPECT_EQ(journal_line(event("a", "b")), "a: b");
}

TEST(JournalLine, StaysOneLineWhateverIsQuotedInIt) {
  ports::Event made = event("job.started", "job 1\n<0>panic\x1b[31m");
  made.fields = {{"id", std::string("a\nb\x7f")}};
  EXPECT_EQ(journal_line(made), "job.started: job 1\\x0a<0>panic\\x1b[31m {id=a\\x0ab\\x7f}");
}

// 72,554 lines in three seconds of one client: the host's own log forgot what root's services said.
TEST(EventLog, WhatIsMadeOnDemandFillsNoLog) {
  const testing::FakeClock clock;
  EventLog log(clock, 6);
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 1'000; ++i) log.record(event("job.started"));
  log.record(event("disk.level"));
  const auto text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 61) << text;
  EXPECT_THAT(text, HasSubstr("disk.level"));
}

}  // namespace
}  // namespace buildwarden::telemetry
