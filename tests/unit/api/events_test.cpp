// The journal over the wire: as a list, and followed.
#include <gmock/gmock.h>

#include "tests/unit/api/api_fixture.h"

namespace buildwarden::api {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class EventsTest : public ApiTest {
 protected:
  void record(const std::string& kind) {
    on_loop([&] { events.record(kind, clock.now().wall); });
  }
  [[nodiscard]] RawClient follow(const std::string& target = "/v1/events", const std::string& headers = "") const {
    auto client = unix_client();
    client.send("GET " + target + " HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n" + headers + "\r\n");
    return client;
  }
  [[nodiscard]] bool is_followed() {
    return on_loop([&] { return !events.following.expired(); });
  }
};

TEST_F(EventsTest, TheListHasTheShapeOfTheContract) {
  events.record("disk.level", clock.now().wall);
  start();
  EXPECT_EQ(get("/v1/events").body,
            R"({"events":[{"id":1,"at":"2026-01-01T00:00:00.000Z","kind":"disk.level","severity":"info",)"
            R"("reason":"because of 1","rule":"always","fields":{"free_bytes":17}}],"last_id":1})");
}

TEST_F(EventsTest, TheListBeginsAfterSince) {
  for (int i = 0; i < 5; ++i) events.record("a", clock.now().wall);
  start();
  const auto answer = get("/v1/events?since=3").json();
  EXPECT_EQ(answer.at("events").as_array().size(), 2U);
  EXPECT_EQ(answer.at("events").at(0).at("id").as_int64(), 4);
  EXPECT_EQ(get("/v1/events?since=9").json().at("events").as_array().size(), 0U);
  for (const auto* bad : {"x", "-1", "", "1x", "99999999999999999999"}) {
    EXPECT_EQ(get(std::string("/v1/events?since=") + bad).text("code"), "bad_parameter") << bad;
  }
}

// Memory has 5 to 9, the database 1 to 8.
class OlderEventsTest : public EventsTest {
 protected:
  OlderEventsTest() {
    for (int i = 0; i < 9; ++i) events.record("a", clock.now().wall);
    archive.kept = {events.ring.begin(), events.ring.begin() + 8};
    events.ring.erase(events.ring.begin(), events.ring.begin() + 4);
  }
  [[nodiscard]] std::vector<std::int64_t> ids(const std::string& query) const {
    std::vector<std::int64_t> some;
    const auto answer = get("/v1/events?" + query).json();
    for (const auto& event : answer.at("events").as_array()) some.push_back(event.at("id").as_int64());
    return some;
  }
  using Ids = std::vector<std::int64_t>;
};

TEST_F(OlderEventsTest, ComeFromTheDatabaseWhereMemoryDoesNotReach) {
  start();
  EXPECT_EQ(ids("before=9&limit=4"), (Ids{5, 6, 7, 8}));
  EXPECT_EQ(archive.asked, 0) << "memory has them all";
  EXPECT_EQ(ids("before=5&limit=2"), (Ids{3, 4}));
  EXPECT_EQ(ids("before=10&limit=7"), (Ids{3, 4, 5, 6, 7, 8, 9})) << "each once, the last one not stored yet";
  EXPECT_EQ(ids("before=3"), (Ids{1, 2}));
  EXPECT_EQ(ids("before=1"), (Ids{}));
  EXPECT_EQ(ids("since=5&limit=2"), (Ids{6, 7}));
  EXPECT_EQ(ids("limit=2"), (Ids{8, 9})) << "the latest, where nobody says after which";
  EXPECT_EQ(ids("since=2&before=6"), (Ids{3, 4, 5}));
}

TEST_F(OlderEventsTest, AreRefusedWhereTheyCannotBeReadOrAskedFor) {
  archive.failure = Error(Errc::kTimeout, "the disk has not answered yet");
  start();
  EXPECT_EQ(ids("before=9&limit=2"), (Ids{7, 8})) << "memory needs no disk";
  EXPECT_GE(get("/v1/events?before=3").status, 500);
  for (const auto* bad : {"before=x", "before=-1", "before=0", "limit=0", "limit=1001"}) {
    EXPECT_EQ(get(std::string("/v1/events?") + bad).text("code"), "bad_parameter") << bad;
  }
}

// Memory has 5 to 9, the database 1 to 8; the odd ones are of a job, 2 and 9 are warnings, each a minute after the
// last.
class ChosenEventsTest : public OlderEventsTest {
 protected:
  ChosenEventsTest() {
    for (auto& event : archive.kept) choose(event);
    for (auto& event : events.ring) choose(event);
  }
  void choose(ports::RecordedEvent& event) const {
    event.event.kind = event.id % 2 == 1 ? "job.started" : "jobless";
    event.event.severity = event.id == 2 || event.id == 9 ? ports::Severity::kWarning : ports::Severity::kInfo;
    event.at = start_ + event.id * 1min;
  }
  const WallTime start_ = clock.now().wall;
};

TEST_F(ChosenEventsTest, AreLookedForInMemoryAndInTheDatabase) {
  start();
  EXPECT_EQ(ids("kind=job"), (Ids{1, 3, 5, 7, 9})) << "and not what only begins like it";
  EXPECT_EQ(ids("kind=job.started,jobless"), (Ids{1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(ids("severity=warning"), (Ids{2, 9}));
  EXPECT_EQ(ids("severity=error"), (Ids{}));
  EXPECT_EQ(ids("kind=job&limit=2"), (Ids{7, 9})) << "the latest";
  EXPECT_EQ(ids("kind=job&before=6"), (Ids{1, 3, 5}));
  EXPECT_EQ(ids("kind=job&since=6&limit=1"), (Ids{7})) << "the first after it";
  EXPECT_EQ(ids("kind=jobless&severity=warning"), (Ids{2}));
}

TEST_F(ChosenEventsTest, AreChosenByTheirTime) {
  start();
  const auto from = [this](int minute) { return "from=" + format_rfc3339(start_ + minute * 1min); };
  EXPECT_EQ(ids(from(7)), (Ids{7, 8, 9}));
  EXPECT_EQ(ids(from(3)), (Ids{3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(ids(from(3) + "&kind=job"), (Ids{3, 5, 7, 9}));
  EXPECT_EQ(ids(from(20)), (Ids{}));
}

TEST_F(ChosenEventsTest, AMistypedChoiceIsRefused) {
  start();
  for (const auto* bad :
       {"kind=", "kind=a,,b", "kind=A", "severity=loud", "severity=", "from=yesterday", "from=", "limt=3"}) {
    EXPECT_EQ(get(std::string("/v1/events?") + bad).text("code"), "bad_parameter") << bad;
  }
  EXPECT_THAT(get("/v1/events?limt=3").text("detail"), HasSubstr("\"limt\" is no parameter of /v1/events"));
  EXPECT_EQ(get("/v1/status?verbose=1").text("code"), "bad_parameter");
  EXPECT_EQ(get("/healthz?x=1").status, 200) << "a scrape or a probe may have one";
}

TEST_F(EventsTest, AFollowerGetsOnlyWhatItChose) {
  start();
  auto client = follow("/v1/events?kind=disk");
  client.read_until("\r\n\r\n");
  record("job.started");
  record("disk.level");
  const auto text = client.read_until("event: disk.level\n");
  EXPECT_THAT(text, ::testing::Not(HasSubstr("job.started")));
  EXPECT_EQ(follow("/v1/events?severity=loud").read_answer().text("code"), "bad_parameter");
}

TEST_F(EventsTest, AFollowerGetsEachEventAsItComes) {
  start();
  record("old");
  auto client = follow();
  const auto head = client.read_until("\r\n\r\n");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(head, HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(head, HasSubstr("Transfer-Encoding: chunked\r\n"));
  record("disk.level");
  EXPECT_THAT(client.read_until("\n\n\r\n"),
              HasSubstr("\r\nid: 2\nevent: disk.level\ndata: {\"id\":2,\"at\":\"2026-01-01T00:00:00.000Z\","
                        "\"kind\":\"disk.level\",\"severity\":\"info\",\"reason\":\"because of 1\",\"rule\":\"always\","
                        "\"fields\":{\"free_bytes\":17}}\n\n"));
  record("job.started");
  EXPECT_THAT(client.read_until("\n\n\r\n"), HasSubstr("id: 3\nevent: job.started\n"));
}

TEST_F(EventsTest, AFollowerGoesOnWhereItWas) {
  for (int i = 0; i < 4; ++i) events.record("a", clock.now().wall);
  start();
  auto since = follow("/v1/events?since=2");
  EXPECT_THAT(since.read_until("\n\n\r\n"), HasSubstr("id: 3\n"));
  auto again = follow("/v1/events?since=0", "Last-Event-ID: 3\r\n");
  EXPECT_THAT(again.read_until("\n\n\r\n"), HasSubstr("\r\nid: 4\n"));
  EXPECT_EQ(follow("/v1/events", "Last-Event-ID: x\r\n").read_answer().text("code"), "bad_parameter");
}

TEST_F(EventsTest, ASilentJournalStillBeats) {
  context.event_heartbeat = 5ms;
  start();
  auto client = follow();
  client.read_until("\r\n\r\n");
  EXPECT_EQ(client.read_until("\n\n\r\n"), "d\r\n: heartbeat\n\n\r\n");
  EXPECT_EQ(client.read_until("\n\n\r\n"), "d\r\n: heartbeat\n\n\r\n");
}

TEST_F(EventsTest, OldHttpGetsThePlainBytes) {
  start();
  record("a");
  auto client = unix_client();
  client.send("GET /v1/events?since=0 HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n");
  client.read_until("\r\n\r\n");
  EXPECT_THAT(client.read_until("\n\n"), StartsWith("id: 1\n"));
}

TEST_F(EventsTest, AFollowerThatLeavesIsForgotten) {
  start();
  auto client = follow();
  client.read_until("\r\n\r\n");
  EXPECT_TRUE(is_followed());
  client.close();
  while (is_followed()) std::this_thread::yield();
}

TEST_F(EventsTest, ASlowFollowerIsDroppedNotBuffered) {
  events.capacity = 10;
  start();
  auto client = follow();
  client.read_until("\r\n\r\n");
  record("first");
  client.read_until("\n\n\r\n");
  // Within one turn of the loop more than the journal holds: the follower could not have taken them.
  on_loop([&] {
    for (int i = 0; i < 30; ++i) events.record("a", clock.now().wall);
  });
  EXPECT_THAT(client.read_until("0\r\n\r\n"), HasSubstr(": dropped: too slow"));
  EXPECT_TRUE(client.is_closed());
}

TEST_F(EventsTest, AFollowerIsNotDroppedWhereARestartLeftNumbersOut) {
  for (int i = 0; i < 60; ++i) events.record("a", clock.now().wall);
  events.ring.back().id = 1'764'000'000;
  start();
  auto client = follow("/v1/events?since=1");
  const auto text = client.read_until("id: 1764000000\n");
  EXPECT_THAT(text, HasSubstr("id: 59\n"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("dropped")));
}

// What is older than the newest forgotten one may still be there: jobs' events are kept beside the others.
TEST_F(EventsTest, AFollowerIsNotDroppedForWhatWasForgottenBeforeItBegan) {
  for (int i = 0; i < 60; ++i) events.record("a", clock.now().wall);
  events.forgotten = 55;
  start();
  auto client = follow("/v1/events?since=0");
  const auto text = client.read_until("id: 60\n");
  EXPECT_THAT(text, ::testing::Not(HasSubstr("dropped")));
}

TEST_F(EventsTest, AFollowerThatDoesNotReadIsCutOff) {
  limits.session.written_within = 50ms;
  start();
  auto client = follow();
  client.read_until("\r\n\r\n");
  // More than any socket buffer takes; the journal's ring is what bounds it on our side.
  while (is_followed()) record(std::string(20'000, 'k'));
  SUCCEED();
}

TEST_F(EventsTest, FollowersAreFew) {
  limits.followers = {32, 32, 0};
  start();
  std::vector<RawClient> followers;
  for (int i = 0; i < 32; ++i) {
    followers.push_back(follow());
    EXPECT_THAT(followers.back().read_until("\r\n\r\n"), HasSubstr("200 OK"));
  }
  EXPECT_EQ(follow().read_answer().text("code"), "too_many_followers");
  EXPECT_EQ(get("/v1/events").status, 200);
}

TEST_F(EventsTest, AStopEndsFollowersAtOnce) {
  start();
  auto client = follow();
  client.read_until("\r\n\r\n");
  const auto begun = std::chrono::steady_clock::now();
  stop(1min);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 1min);
  EXPECT_TRUE(client.is_closed());
}

}  // namespace
}  // namespace buildwarden::api
