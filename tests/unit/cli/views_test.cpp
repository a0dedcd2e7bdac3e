#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/atomic_file.h"
#include "common/time.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/table.h"
#include "tests/unit/cli/scripted_daemon.h"

namespace buildwarden::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Table, AlignsByCharactersAndHidesControls) {
  EXPECT_EQ(cli::table({{"A", "B"}, {"\xc3\xa4\xc3\xb6", "x"}, {"a\x1b", ""}}),
            "A      B\n\xc3\xa4\xc3\xb6     x\na\\x1b\n");
}

TEST(Builders, AreShownWithTheirReason) {
  ClientWorld world;
  const auto run = with_answer(world, http_answer(200, R"({"builders":[{"name":"s3","state":"warm","leases":["1","2"],
    "cache_bytes":1048576,"heals":3,"reason":""},{"name":"b","state":"down","reason":"no engine","cache_bytes":null}]})"),
                               {"builders"});
  EXPECT_EQ(run.code, cli::kYes);
  EXPECT_EQ(run.out,
            "BUILDER  STATE  LEASES  CACHE    HEALS  REASON\n"
            "s3       warm   2       1.0 MiB  3      -\n"
            "b        down   0       -        0      no engine\n");
}

TEST(Builders, OneIsShownWithAllThatIsKnown) {
  ClientWorld world;
  std::string target;
  const ScriptedDaemon daemon(world.socket(), [&](const SeenRequest& request) {
    target = request.line();
    return http_answer(200, R"({"name":"s3","state":"warm","reason":"it answers","version":null,"leases":["1","2"],
      "cache_bytes":1048576,"heals":3,"last_heal":{"at":"2026-01-01T00:00:00.000Z","reason":"it was paused"},
      "running_builds":0})");
  });
  const auto run = world.run({"builders", "show", "s3"});
  EXPECT_EQ(run.code, cli::kYes) << run.err;
  EXPECT_EQ(target, "GET /v1/builders/s3 HTTP/1.1");
  EXPECT_THAT(run.out, AllOf(HasSubstr("state           warm\n"), HasSubstr("version         -\n"),
                             HasSubstr("leases          1, 2\n"), HasSubstr("running builds  0\n"),
                             HasSubstr("cache           1.0 MiB\n"),
                             HasSubstr("heals           3, the last at 2026-01-01T00:00:00.000Z: it was paused\n")));
}

TEST(Emulators, AreVerifiedNow) {
  ClientWorld world;
  std::string state = "proven";
  std::string target;
  const ScriptedDaemon daemon(world.socket(), [&](const SeenRequest& request) {
    target = request.line();
    return http_answer(200, R"({"emulators":[{"platform":"linux/arm64","state":")" + state + R"("}]})");
  });
  const auto good = world.run({"emulators", "verify"});
  EXPECT_EQ(good.code, cli::kYes) << good.err;
  EXPECT_EQ(target, "POST /v1/emulators/verify HTTP/1.1");
  EXPECT_THAT(good.out, HasSubstr("linux/arm64  proven"));
  state = "broken";
  EXPECT_EQ(world.run({"emulators", "verify"}).code, cli::kNo);
  EXPECT_EQ(world.run({"emulators", "verify", "--json"}).code, cli::kNo);
}

TEST(Jobs, AreShownWithTheirAge) {
  ClientWorld world;
  const auto answer = http_answer(200, R"({"jobs":[{"id":"42","pipeline":"web","agent":"","builders":["s3"],
    "reserved_bytes":1073741824,"started_at":"2026-01-01T00:00:00.000Z","expires_at":null}]})");
  const auto run = with_answer(world, answer, {"jobs"});
  EXPECT_THAT(run.out, ::testing::MatchesRegex("JOB  PIPELINE  AGENT  AGE +RESERVED  BUILDERS  ENDS IN\n"
                                               "42   web       -      [0-9a-z ]+ +1.00 GiB  s3        -\n"));
  EXPECT_EQ(with_answer(world, http_answer(200, R"({"jobs":[]})"), {"jobs"}).out, "no job is running\n");
}

TEST(Config, OfTheRunningDaemonIsShownWithItsSources) {
  ClientWorld world;
  const auto answer = http_answer(200, R"({"settings":[
    {"key":"disk.min_free","value":"5GiB","source":"yaml","location":"/etc/b.yaml:3:2"},
    {"key":"dry_run","value":"false","source":"default","location":"","after_restart":"true"}],"warnings":["of a key"]})");
  const auto run = with_answer(world, answer, {"config", "show"});
  EXPECT_EQ(run.out,
            "disk.min_free  5GiB   yaml (/etc/b.yaml:3:2)\n"
            "dry_run        false  default\n"
            "dry_run: true after a restart\n"
            "warning: of a key\n");
}

TEST(Version, IsThatOfTheClientAndOfTheDaemon) {
  ClientWorld world;
  const auto answer = http_answer(200, R"({"version":"9.8.7"})");
  EXPECT_EQ(with_answer(world, answer, {"version"}).out, "client " BUILDWARDEN_VERSION "\ndaemon 9.8.7\n");
  EXPECT_EQ(with_answer(world, answer, {"version", "--json"}).out,
            R"({"client":")" BUILDWARDEN_VERSION R"(","daemon":"9.8.7"})"
            "\n");
}

TEST(Builders, OneIsMadeAnew) {
  ClientWorld world;
  const auto made = http_answer(200, R"({"builder":"s3","steps":["remove buildwarden_s3","create buildwarden_s3"],
    "reason":"builder s3 was made anew","rule":"asked"})");
  std::string target;
  const ScriptedDaemon daemon(world.socket(), [&](const SeenRequest& request) {
    target = request.line();
    return made;
  });
  const auto run = world.run({"builders", "recreate", "s3", "--force"});
  EXPECT_EQ(run.code, cli::kYes) << run.err;
  EXPECT_EQ(run.out, "remove buildwarden_s3\ncreate buildwarden_s3\nbuilder s3 was made anew\n");
  EXPECT_THAT(target, HasSubstr("POST /v1/builders/s3/recreate "));
}

TEST(Builders, AreNotMadeAnewWhileBuildsRun) {
  ClientWorld world;
  const auto busy = http_answer(409, R"({"title":"Conflict","detail":"2 builds run","code":"builder_busy"})");
  const auto run = with_answer(world, busy, {"builders", "recreate", "s3"});
  EXPECT_EQ(run.code, cli::kNo);
  EXPECT_EQ(run.err, "buildwarden: 2 builds run\n");
  EXPECT_EQ(with_answer(world, busy, {"builders", "recreate"}).code, cli::kUsage);
}

TEST(Status, SaysWhatTheConfigurationWaitsFor) {
  ClientWorld world;
  const auto run = with_answer(
      world, http_answer(200, R"({"config":{"restart_needed":["listen.tcp","paths.run"],"parameters_awaited":true}})"),
      {"status"});
  EXPECT_THAT(run.out, HasSubstr("a restart is needed for listen.tcp, paths.run\n"));
  EXPECT_THAT(run.out, HasSubstr("only gentle steps until then\n"));
}

TEST(Status, SaysWhatWasSavedToday) {
  ClientWorld world;
  const auto* const kinds =
      R"([{"kind":"image","saved":{"today":{"seconds":10800.0,"estimated_seconds":0.0,"bytes":1073741824}}},)"
      R"({"kind":"cache","saved":{"today":{"seconds":720,"estimated_seconds":120.5,"bytes":0}},)"
      R"("regretted":{"today":{"seconds":61.5}}}])";
  const auto answer = http_answer(200, std::string(R"({"savings":{"host":)") + kinds +
                                           R"(,"pipelines":[{"pipeline":"web\u001b","kinds":)" + kinds + "}]}}");
  const auto run = with_answer(world, answer, {"status"});
  EXPECT_THAT(run.out, HasSubstr("\nsaved today: 3h 12m of builds and pulls not waited for (2m of it estimated), 1.00 "
                                 "GiB not sent again; regretted 1m 1s\n"));
  EXPECT_THAT(run.out, ::testing::ContainsRegex("\n  web[^\n\x1b]*: 3h 12m\n"));
  const auto unloaded = with_answer(world, http_answer(200, R"({"savings":{"host":null,"pipelines":[]}})"), {"status"});
  EXPECT_THAT(unloaded.out, ::testing::Not(HasSubstr("saved")));
}

TEST(Status, SaysWhatIsFetchedAhead) {
  ClientWorld world;
  const auto run = with_answer(world, http_answer(200, R"({"prefetch":{"done":1,"reason":"waits","images":[
        {"image":"a:1","builder":null,"state":"done","reason":"there"},
        {"image":"a:1","builder":"s3","state":"failed","reason":"no host"}]}})"),
                               {"status"});
  EXPECT_THAT(run.out, HasSubstr("prefetch: 1 of 2 done; waits\n  a:1 for builder s3: failed no host\n\n"));
}

TEST(Status, SaysWhatBecomesOfTheInstance) {
  ClientWorld world;
  const auto run = with_answer(world, http_answer(200, R"({"termination":{"state":"reporting","rule":"ship",
        "reason":"the log is shipped","next":"ask the group","seconds_left":9}})"),
                               {"status"});
  EXPECT_THAT(run.out, HasSubstr("termination reporting (ship): the log is shipped; next: ask the group in 9s\n"));
}

TEST(Views, AnswersOfAnotherShapeDoNotCrash) {
  for (const std::string answer :
       {"[]", "null", "\"x\"", "nonsense", R"({"builders":[1,null,{"name":5}],"config":{"restart_needed":[1]}})", ""}) {
    for (const std::string command : {"status", "disk", "builders", "events"}) {
      ClientWorld world;
      EXPECT_EQ(with_answer(world, http_answer(200, answer), {command}).code, cli::kYes) << command << answer;
    }
  }
}

TEST(Views, AProblemIsNo) {
  ClientWorld world;
  const auto run = with_answer(world, http_answer(500, R"({"title":"Broken","detail":"of a reason"})"), {"status"});
  EXPECT_EQ(run.code, cli::kNo);
  EXPECT_EQ(run.err, "buildwarden: of a reason\n");
}

TEST(Events, WhatAJobNamedDrivesNoTerminal) {
  ClientWorld world;
  const std::string events = "{\"events\":[{\"id\":8,\"reason\":\"job a\u202eb\u009b2J\"}]}";
  ScriptedDaemon daemon(world.socket(), [&](const SeenRequest&) { return http_answer(200, events); });
  EXPECT_THAT(world.run({"events"}).out, HasSubstr("job a\\u202eb\\u009b2J"));
  const auto json = world.run({"events", "--json"});
  EXPECT_EQ(json.out, "{\"events\":[{\"id\":8,\"reason\":\"job a\\u202eb\\u009b2J\"}]}\n");
}

TEST(Events, OneLineEach) {
  ClientWorld world;
  ScriptedDaemon daemon(world.socket(), [](const SeenRequest&) {
    return http_answer(200, R"({"events":[{"id":8,"at":"2026-01-01T00:00:00.000Z","severity":"info","kind":"disk.level",
      "reason":"ok\nnow"}]})");
  });
  const auto run = world.run({"events", "--since", "7"});
  EXPECT_EQ(run.out, "2026-01-01T00:00:00.000Z info    disk.level ok\\x0anow\n");
  EXPECT_EQ(daemon.seen()[0].line(), "GET /v1/events?since=7 HTTP/1.1");
  EXPECT_EQ(world.run({"events", "--before", "8", "--limit", "5"}).code, cli::kYes);
  EXPECT_EQ(daemon.seen()[1].line(), "GET /v1/events?before=8&limit=5 HTTP/1.1");
  EXPECT_EQ(world.run({"events", "--limit", "5"}).code, cli::kYes);
  EXPECT_EQ(daemon.seen()[2].line(), "GET /v1/events?limit=5 HTTP/1.1") << "the latest five";
  EXPECT_EQ(world.run({"events"}).code, cli::kYes);
  EXPECT_EQ(daemon.seen()[3].line(), "GET /v1/events HTTP/1.1");
  EXPECT_EQ(world.run({"events", "--since", "-1"}).code, cli::kUsage);
}

TEST(Events, AreChosenByKindSeverityAndTime) {
  ClientWorld world;
  ScriptedDaemon daemon(world.socket(), [](const SeenRequest&) { return http_answer(200, R"({"events":[]})"); });
  EXPECT_EQ(
      world.run({"events", "--kind", "reclaim", "--kind", "job.refused", "--severity", "warning", "-n", "20"}).code,
      cli::kYes);
  EXPECT_EQ(daemon.seen()[0].line(), "GET /v1/events?limit=20&kind=reclaim%2Cjob.refused&severity=warning HTTP/1.1");
  EXPECT_EQ(world.run({"events", "--since", "2026-01-02T03:04:05+01:00"}).code, cli::kYes);
  EXPECT_EQ(daemon.seen()[1].line(), "GET /v1/events?from=2026-01-02T02%3A04%3A05.000Z HTTP/1.1");
  const auto before = std::chrono::system_clock::now();
  EXPECT_EQ(world.run({"events", "--since", "1h"}).code, cli::kYes);
  const auto line = daemon.seen()[2].line();
  ASSERT_THAT(line, ::testing::StartsWith("GET /v1/events?from="));
  cli::EventOptions options;
  ASSERT_TRUE(cli::begin_at("1h", options));
  const auto from = parse_rfc3339(options.from);
  ASSERT_TRUE(from) << options.from;
  EXPECT_GE(*from + std::chrono::hours{1}, std::chrono::floor<Duration>(before));
  EXPECT_LE(*from + std::chrono::hours{1}, std::chrono::system_clock::now());
}

TEST(Events, FollowsUntilTheDaemonEnds) {
  ClientWorld world;
  ScriptedDaemon daemon(world.socket(), [](const SeenRequest&) {
    return std::string(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        ": hello\n\nid: 1\nevent: a\ndata: {\"kind\":\"a\",\"reason\":\"one\"}\n\n"
        "data: {\"kind\":\"b\",\"reason\":\"two\"}\n\n");
  });
  const auto run = world.run({"events", "--follow", "--json"});
  EXPECT_EQ(run.out, "{\"kind\":\"a\",\"reason\":\"one\"}\n{\"kind\":\"b\",\"reason\":\"two\"}\n");
  EXPECT_EQ(run.code, cli::kUnreachable) << "the stream ended because the daemon did";
  EXPECT_THAT(daemon.seen()[0].head, HasSubstr("text/event-stream"));
}

// As journalctl and docker logs have it, and kubectl's -w: the latest, then those to come.
TEST(Events, FollowsAfterTheLatest) {
  ClientWorld world;
  ScriptedDaemon daemon(world.socket(), [](const SeenRequest& request) {
    if (request.head.find("text/event-stream") == std::string::npos) {
      return http_answer(200, R"({"events":[{"id":7,"kind":"reclaim.done","reason":"old"}],"last_id":9})");
    }
    return std::string("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n") +
           "data: {\"kind\":\"reclaim.step\",\"reason\":\"new\"}\n\n";
  });
  const auto run =
      world.run({"events", "-f", "-n", "20", "--since", "1h", "--kind", "reclaim", "--severity", "warning", "--json"});
  EXPECT_EQ(run.out,
            "{\"id\":7,\"kind\":\"reclaim.done\",\"reason\":\"old\"}\n"
            "{\"kind\":\"reclaim.step\",\"reason\":\"new\"}\n")
      << run.err;
  ASSERT_EQ(daemon.seen().size(), 2U);
  EXPECT_THAT(daemon.seen()[0].line(), AllOf(HasSubstr("limit=20"), HasSubstr("from="), HasSubstr("kind=reclaim")));
  EXPECT_EQ(daemon.seen()[1].line(), "GET /v1/events?since=9&kind=reclaim&severity=warning HTTP/1.1");
}

TEST(ConfigCheck, PrintsEachValueAndItsSource) {
  ClientWorld world;
  const auto path = world.folder() + "/c.yaml";
  ASSERT_TRUE(write_file_atomically(path, "disk: { min_free: 7GiB }\n"));
  const auto run = world.run({"config", "check", "--config", path});
  EXPECT_EQ(run.code, cli::kYes) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("disk.min_free"), HasSubstr("7GiB"), HasSubstr("yaml")));
  EXPECT_THAT(world.run({"config", "check", "--config", path, "--json"}).out, HasSubstr("\"settings\""));
}

TEST(ConfigCheck, SaysAllMistakesAtOnce) {
  ClientWorld world;
  const auto path = world.folder() + "/c.yaml";
  ASSERT_TRUE(write_file_atomically(path, "disk: { min_free: lots }\nnonsense: 1\n"));
  const auto run = world.run({"config", "check", "--config", path});
  EXPECT_EQ(run.code, cli::kNo);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, AllOf(HasSubstr("min_free"), HasSubstr("nonsense"), HasSubstr(path)));
}

TEST(ConfigCheck, AFileThatWasNamedMustBeThere) {
  ClientWorld world;
  EXPECT_EQ(world.run({"config", "check", "--config", world.folder() + "/none.yaml"}).code, cli::kNo);
}

// The operator is told before the disk is short.
TEST(ConfigCheck, AFolderThatSomebodyElseCouldExchangeIsAWarning) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give a folder away";
  ClientWorld world;
  const auto home = world.folder() + "/home";
  std::filesystem::create_directories(home + "/builds");
  ASSERT_EQ(::chown(home.c_str(), 2000, 2000), 0);
  const auto path = world.folder() + "/purge.yaml";
  std::ofstream(path) << "on_full: { purge_builds: true }\npaths: { builds: " << home << "/builds }\n";
  const auto run = world.run({"config", "check", "--config", path});
  EXPECT_EQ(run.code, cli::kYes);
  EXPECT_THAT(run.err, AllOf(HasSubstr("nothing is deleted in " + home + "/builds (paths.builds)"),
                             HasSubstr("belongs to uid 2000"), HasSubstr("mount --bind")));
}

TEST(Status, SaysWhereNothingIsDeleted) {
  ClientWorld world;
  const auto answer = http_answer(
      200, R"({"version":"1","ready":true,"refused_roots":[{"path":"/b","setting":"paths.builds","reason":"why"}]})");
  EXPECT_THAT(with_answer(world, answer, {"status"}).out, HasSubstr("\nnothing is deleted in /b: why\n"));
  EXPECT_THAT(with_answer(world, answer, {"disk"}).out, HasSubstr("\nnothing is deleted in /b: why\n"));
}

// Ready, and no job can start: as the page and /readyz say it.
TEST(Status, SaysWhatHurtsAndThatAFullDiskIsFullNow) {
  ClientWorld world;
  const auto answer = http_answer(
      200,
      R"({"version":"1","ready":true,"attention":[{"part":"disk /","reason":"No new jobs: 1 MiB free","rule":"x"}],)"
      R"("filesystems":[{"mount":"/","level":"critical","seconds_to_critical":null,"gate":true}]})");
  const auto run = with_answer(world, answer, {"status"});
  EXPECT_THAT(run.out, HasSubstr("buildwarden 1, ready, but no new job starts\nNo new jobs: 1 MiB free\n"));
  EXPECT_THAT(run.out, ::testing::ContainsRegex("critical .* now +yes"));
}

TEST(Status, SaysWhatIsNotKeptOnDisk) {
  ClientWorld world;
  const auto answer = http_answer(
      200, R"({"version":"1","ready":true,"state":{"ledger_error":null,"journal_error":"the disk is full"}})");
  const auto run = with_answer(world, answer, {"status"});
  EXPECT_EQ(run.code, cli::kYes);
  EXPECT_THAT(run.out, HasSubstr("\nthe journal is not kept on disk: the disk is full\n"));
  EXPECT_THAT(run.out, ::testing::Not(HasSubstr("ledger")));
}

}  // namespace
}  // namespace buildwarden::testing
