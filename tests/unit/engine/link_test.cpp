#include <gmock/gmock.h>

#include "tests/unit/engine/engine_fixture.h"

namespace buildwarden::engine {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using testing::FakeAnswer;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// The streams; what is asked of the past has no filters.
constexpr std::string_view kChanges = "GET /v1.45/events?filters=%7B%22type";
constexpr std::string_view kBuilds = "GET /v1.45/events?filters=%7B%22container";

std::string event_line(std::int64_t nanos, const std::string& action = "start") {
  return R"({"Type":"container","Action":")" + action +
         R"(","Actor":{"ID":"c1","Attributes":{"name":"web"}},"timeNano":)" + std::to_string(nanos) + "}\n";
}

class LinkTest : public EngineFixture {
 protected:
  void until_down() {
    until([this] { return !engine_->status().up && !losses_.empty(); });
  }
  void until_connected(std::size_t times) {
    until([this, times] { return gaps_.size() >= times; });
  }
};

TEST_F(LinkTest, TellsWhoAnswersOnceTheStreamIsOpen) {
  start_and_connect();
  EXPECT_EQ(server_.held(kChanges), 1);
  ASSERT_EQ(identities_.size(), 1U);
  EXPECT_EQ(identities_[0].id, "id-1");
  EXPECT_EQ(identities_[0].version, "26.1.5");
  EXPECT_EQ(identities_[0].api_version, "1.45");
  EXPECT_EQ(gaps_[0], std::nullopt);
  EXPECT_EQ(engine_->status().identity, identities_[0]);
  EXPECT_EQ(engine_->status().reason, "");
  EXPECT_EQ(server_.count("GET /v1.45/events?since=0.000000001&until="), 1) << "what the engine remembers";
  EXPECT_THAT(journal_.kinds(), ElementsAre("engine.connected"));
}

TEST_F(LinkTest, SpeaksTheEnginesVersion) {
  speak("1.41");
  start_and_connect();
  EXPECT_EQ(identities_.at(0).api_version, "1.41");
}

TEST_F(LinkTest, AnEngineThatIsTooOldIsAStateWithAReason) {
  speak("1.40");
  start();
  until([this] { return server_.count("GET /_ping") >= 2; });
  EXPECT_FALSE(engine_->status().up);
  EXPECT_EQ(engine_->status().reason, "the engine's API 1.40 is older than 1.41, the oldest supported");
  EXPECT_THAT(losses_, IsEmpty()) << "it never was there";
  EXPECT_THAT(journal_.kinds(), ElementsAre("engine.lost"));
}

TEST_F(LinkTest, DeliversEventsInOrder) {
  start_and_connect();
  server_.push(kChanges, event_line(1'700'000'000'000'000'001, "create") + event_line(1'700'000'000'000'000'002));
  until([this] { return events_.size() == 2; });
  EXPECT_EQ(events_[0].action, "create");
  EXPECT_EQ(events_[1].action, "start");
  EXPECT_EQ(events_[1].attributes.at("name"), "web");
}

TEST_F(LinkTest, TellsWhatHappenedBeforeTheStartFromWhatHappensNow) {
  server_.replace("GET /v1.45/events?since=0.000000001&until=",
                  FakeAnswer::json(200, event_line(1'700'000'000'000'000'001) + event_line(1'700'000'000'000'000'002)));
  start_and_connect();
  ASSERT_EQ(events_.size(), 2U) << "all of them before it is told that it is connected";
  EXPECT_TRUE(events_[1].before_start);
  server_.push(kChanges, event_line(4'000'000'000'000'000'002));
  until([this] { return events_.size() == 3; });
  EXPECT_FALSE(events_[2].before_start);
  server_.drop(kChanges);
  until_connected(2);
  EXPECT_EQ(server_.count("GET /v1.45/events?since=0.000000001"), 1) << "once";
}

TEST_F(LinkTest, AsksForWhatItMissedSinceTheLastEvent) {
  start_and_connect();
  server_.push(kChanges, event_line(4'000'000'000'000'000'009));
  until([this] { return events_.size() == 1; });
  server_.drop(kChanges);
  until_connected(2);
  EXPECT_THAT(server_.last(kChanges)->what(), EndsWith("&since=4000000000.000000010"));
}

// Issue 21: a health check is three events, whoever listens to all of them.
TEST_F(LinkTest, TheEngineKeepsWhatNobodyHereListensFor) {
  start_and_connect();
  const auto changes = server_.last(kChanges)->what();
  for (const auto* wanted : {"create", "start", "die", "destroy", "pause", "unpause", "rename", "pull", "tag", "load",
                             "connect", "mount", "container", "image", "network", "volume"}) {
    EXPECT_THAT(changes, HasSubstr(std::string("%22") + wanted + "%22")) << wanted;
  }
  EXPECT_THAT(changes, Not(HasSubstr("exec")));
  EXPECT_THAT(changes, Not(HasSubstr("health")));
  const auto builds = server_.last(kBuilds)->what();
  EXPECT_THAT(builds, HasSubstr("exec_create"));
  EXPECT_THAT(builds, HasSubstr("exec_die"));
  EXPECT_THAT(builds, HasSubstr("buildx_buildkit_"));
}

TEST_F(LinkTest, ABuildThroughAContainerOfBuildxIsTold) {
  start_and_connect();
  ASSERT_EQ(server_.push(kBuilds, event_line(4'000'000'000'000'000'009, "exec_create: buildctl dial-stdio")), 1);
  until([this] { return events_.size() == 1; });
  EXPECT_EQ(events_[0].action, "exec_create: buildctl dial-stdio");
  server_.drop(kBuilds);
  until_connected(2);
  EXPECT_THAT(server_.last(kBuilds)->what(), HasSubstr("since=4000000000.000000010"));
  EXPECT_THAT(server_.last(kChanges)->what(), Not(HasSubstr("4000000000"))) << "each goes on where it was";
}

TEST_F(LinkTest, WithoutAnyEventItAsksSinceItsFirstConnection) {
  start_and_connect();
  server_.drop(kChanges);
  until_connected(2);
  const auto what = server_.last(kChanges)->what();
  const auto since = what.substr(what.find("&since=") + std::string("&since=").size());
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.now().wall.time_since_epoch()).count();
  EXPECT_NEAR(std::stod(since), static_cast<double>(now), 30.0);
}

TEST_F(LinkTest, ALossIsToldOnceAndComesBackWithTheGap) {
  start_and_connect();
  server_.stop();
  until_down();
  const auto ping = server_.path();
  for (int i = 0; i < 50; ++i) loop_.run_one_for(1ms);  // some retries
  EXPECT_THAT(losses_, ElementsAre(HasSubstr("the event stream")));
  EXPECT_THAT(engine_->status().reason, HasSubstr("Connection refused"));
  EXPECT_EQ(engine_->status().identity.id, "id-1") << "the last known";
  const auto call = run(engine_->list_images());
  ASSERT_FALSE(call);
  EXPECT_EQ(call.error().code(), Errc::kUnavailable);
  EXPECT_THAT(call.error().message(), HasSubstr("the engine is away"));
  server_.listen();
  until_connected(2);
  ASSERT_TRUE(gaps_[1].has_value());
  EXPECT_GT(*gaps_[1], 0ms);
  EXPECT_LT(*gaps_[1], 10s);
  EXPECT_EQ(losses_.size(), 1U);
  EXPECT_THAT(journal_.kinds(), ElementsAre("engine.connected", "engine.lost", "engine.connected"));
}

TEST_F(LinkTest, AnAbsentEngineIsNoLossAndIsFoundWhenItComes) {
  server_.stop();
  ::unlink(server_.path().c_str());
  start();
  until([this] { return engine_->status().since.has_value(); });
  EXPECT_FALSE(engine_->status().up);
  EXPECT_THAT(engine_->status().reason, HasSubstr("No such file"));
  server_.listen();
  until_connected(1);
  EXPECT_THAT(losses_, IsEmpty());
  EXPECT_EQ(gaps_[0], std::nullopt);
}

TEST_F(LinkTest, AHangingEngineIsLost) {
  start_and_connect();
  EXPECT_TRUE(engine_->status().pings.good);
  EXPECT_GE(engine_->status().pings.readings, 1U);
  server_.replace("GET /_ping", FakeAnswer::hang());
  until_down();
  EXPECT_THAT(losses_.at(0), HasSubstr("no answer in time"));
  EXPECT_FALSE(engine_->status().pings.good);
  EXPECT_EQ(engine_->status().pings.failures, 1U);
  EXPECT_TRUE(engine_->status().pings.last_good);
}

TEST_F(LinkTest, EventsProveLifeWithoutAPing) {
  auto times = fast();
  times.heartbeat = 10s;
  start(times);
  until([this] { return engine_->status().up; });
  const auto pings = server_.count("GET /_ping");
  for (int i = 0; i < 5; ++i) {
    server_.push(kChanges, event_line(1'700'000'000'000'000'000 + i));
    until([this, i] { return events_.size() == static_cast<std::size_t>(i) + 1; });
  }
  EXPECT_EQ(server_.count("GET /_ping"), pings);
}

TEST_F(LinkTest, GarbageInTheStreamIsALossWithThatReason) {
  start_and_connect();
  server_.push(kChanges, event_line(5) + "}{ not an event\n");
  until_down();
  EXPECT_EQ(events_.size(), 1U);
  EXPECT_THAT(losses_.at(0), HasSubstr("a line of the event stream: not JSON"));
  until_connected(2);
}

TEST_F(LinkTest, EveryStageOfConnectingMayFail) {
  const std::vector<FakeAnswer> bad = {
      FakeAnswer::raw(""),
      FakeAnswer::raw("garbage\r\n\r\n"),
      FakeAnswer::raw("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"ID\""),
      FakeAnswer::json(500, R"({"message":"boom"})"),
      FakeAnswer::json(200, "[]"),
      FakeAnswer::raw("HTTP/1.1 200 OK\r\n\r\n", FakeAnswer::Then::kRepeat),
  };
  for (const auto* stage : {"GET /_ping", "GET /v1.45/info"}) {
    server_.replace(stage, bad[0]);
    for (const auto& answer : bad) server_.on(stage, answer);
    server_.on(stage, FakeAnswer::json(404, "{}"));
  }
  server_.replace("GET /v1.45/events", FakeAnswer::json(500, R"({"message":"no events today"})"));
  start();
  until([this] { return server_.count("GET /_ping") > 8; });
  EXPECT_FALSE(engine_->status().up);
  EXPECT_THAT(identities_, IsEmpty());
  speak("1.45");
  until([this] { return engine_->status().up; });
}

TEST_F(LinkTest, AnEventStreamThatIsRefusedIsShown) {
  server_.replace("GET /v1.45/events", FakeAnswer::json(500, R"({"message":"no events today"})"));
  start();
  until([this] { return engine_->status().reason.find("no events today") != std::string::npos; });
  EXPECT_THAT(engine_->status().reason, HasSubstr("the engine answers 500"));
  EXPECT_FALSE(engine_->status().up);
}

TEST_F(LinkTest, AnotherEngineOnTheSameSocketHasItsOwnIdentity) {
  start_and_connect();
  server_.replace("GET /v1.45/info",
                  FakeAnswer::json(200, R"({"ID":"id-2","DockerRootDir":"/d","ServerVersion":"27"})"));
  server_.drop(kChanges);
  until_connected(2);
  EXPECT_EQ(identities_[1].id, "id-2");
  EXPECT_EQ(identities_[1].root_dir, "/d");
}

TEST_F(LinkTest, StopEndsItInEveryState) {
  start();
  stop();  // before it began
  engine_.reset();

  server_.replace("GET /_ping", FakeAnswer::hang());
  LinkTimes patient;
  patient.ping_deadline = 1h;
  start(patient);
  until([this] { return server_.held("GET /_ping") > 0; });
  stop();  // while it waits for an answer
  engine_.reset();

  speak("1.45");
  start(LinkTimes{});
  until([this] { return engine_->status().up; });
  stop();  // while it waits for events
  EXPECT_THAT(journal_.kinds(), ElementsAre("engine.connected")) << "an engine that we leave is not lost";
  EXPECT_THAT(losses_, IsEmpty());
}

TEST_F(LinkTest, CancellationEndsItToo) {
  start(LinkTimes{});
  until([this] { return engine_->status().up; });
  background_->cancel();
  until([this] { return background_->ended(); });
}

}  // namespace
}  // namespace buildwarden::engine
