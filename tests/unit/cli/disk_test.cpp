#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/statvfs.h>

#include <boost/json/parse.hpp>

#include "common/atomic_file.h"
#include "tests/unit/cli/scripted_daemon.h"

namespace buildwarden::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string filesystem(const std::string& level, const std::string& gate, Bytes free) {
  return R"({"mount":"/data","level":")" + level + R"(","gate":)" + gate + R"(,"free_bytes":)" + format("{}", free) +
         R"(,"total_bytes":107374182400,"marks":{"critical_bytes":5368709120,"low_bytes":16106127360,)"
         R"("target_bytes":26843545600},"seconds_to_critical":90,"users":[{"kind":"images","name":"app:1","bytes":1048576}]})";
}

std::string disk(const std::string& filesystems) { return R"({"filesystems":[)" + filesystems + "]}"; }

// A configuration whose data root is in the test's folder, with the given mark.
std::string configuration(const ClientWorld& world, const std::string& min_free) {
  const auto daemon_json = world.folder() + "/daemon.json";
  EXPECT_TRUE(write_file_atomically(daemon_json, R"({"data-root":")" + world.folder() + R"("})"));
  const auto path = world.folder() + "/buildwarden.yaml";
  EXPECT_TRUE(write_file_atomically(
      path, "disk: { min_free: " + min_free +
                ", min_free_inodes: 1, reclaim_below: 98%, reclaim_to: 99% }\npaths: { daemon_json: " + daemon_json +
                ", cfn_env: " + world.folder() + "/none, agent_env: " + world.folder() +
                "/none, docker_binfmt_env: " + world.folder() + "/none }\n"));
  return path;
}

TEST(DiskCheck, TheDaemonSaysOk) {
  ClientWorld world;
  const auto run = with_answer(world, http_answer(200, disk(filesystem("low", "true", 6 * kGiB))), {"disk", "check"});
  EXPECT_EQ(run.code, cli::kYes) << "low is where reclaiming begins, not where jobs are refused";
  EXPECT_EQ(run.out, "ok: /data has 6.00 GiB free, at least 5.00 GiB wanted (level low)\n");
  EXPECT_EQ(run.err, "");
}

// A daemon whose disk has `before` until room was asked for, and `after` then.
class DiskCheckMakesRoom : public ::testing::Test {
 protected:
  // `command`: of `disk`.
  ClientRun run(const std::string& before, const std::string& after, const std::vector<std::string>& more = {},
                const std::string& command = "check") {
    bool asked = false;
    body_.clear();
    world_.silence = kPatient;
    ScriptedDaemon daemon(world_.socket(), [&](const SeenRequest& request) {
      if (request.line().starts_with("POST")) {
        asked = true;
        body_ = request.line() + " " + request.body;
        return reclaim_;
      }
      if (request.line().find("/v1/operations/") != std::string::npos) return operation_;
      return http_answer(200, disk(asked ? after : before));
    });
    std::vector<std::string> arguments = {"disk", command, "--config", configuration(world_, "1B")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return world_.run(std::move(arguments));
  }
  ClientWorld world_;
  std::string body_;
  std::string reclaim_ = http_answer(202, R"({"operation":"7"})");
  std::string operation_ = http_answer(200, R"({"state":"done","status":200,"progress":["removing image a"],
    "result":{"reached":true,"reason":"6 GiB free after 1 steps."}})");
};

TEST_F(DiskCheckMakesRoom, AndSaysYesWhenThatWasEnough) {
  const auto done = run(filesystem("critical", "true", 3 * kGiB), filesystem("low", "true", 6 * kGiB), {}, "ensure");
  EXPECT_EQ(done.code, cli::kYes) << done.err;
  EXPECT_EQ(body_, R"(POST /v1/disk/reclaim HTTP/1.1 {"target_free_bytes":5368709120})");
  EXPECT_THAT(done.out, HasSubstr("ok: /data has 6.00 GiB free"));
  EXPECT_EQ(done.err, "buildwarden: removing image a\nbuildwarden: room was asked for: 6 GiB free after 1 steps.\n");
}

TEST_F(DiskCheckMakesRoom, AndSaysNoWhenItWasNot) {
  const auto critical = filesystem("critical", "true", 3 * kGiB);
  const auto done = run(critical, critical, {"--make-room"});
  EXPECT_EQ(done.code, cli::kNo);
  EXPECT_NE(body_, "");
  EXPECT_THAT(done.out, HasSubstr("low: /data has 3.00 GiB free"));
  EXPECT_EQ(run(critical, critical, {"--json"}, "ensure").code, cli::kNo);
  EXPECT_NE(body_, "");
}

// Issue 20: `check` deleted.
TEST_F(DiskCheckMakesRoom, ButCheckAloneOnlyLooks) {
  const auto done = run(filesystem("critical", "true", 3 * kGiB), filesystem("low", "true", 6 * kGiB));
  EXPECT_EQ(done.code, cli::kNo);
  EXPECT_EQ(done.out, "low: /data has 3.00 GiB free, at least 5.00 GiB wanted (level critical)\n");
  EXPECT_EQ(done.err, "");
  EXPECT_EQ(body_, "") << "nobody asked for room";
  EXPECT_EQ(world_.run({"disk", "check", "--here", "--make-room"}).code, cli::kUsage);
}

// Issue 16, number 5: the stack deletes the job's own checkout under it and ends with 0.
TEST_F(DiskCheckMakesRoom, AndAtItsEndAJobIsNotFailedForWhatGoesWithIt) {
  world_.environment["BUILDKITE_JOB_ID"] = "job-7";
  const auto critical = filesystem("critical", "true", 3 * kGiB);
  const auto answered = [](const std::string& at_end) {
    return http_answer(200,
                       R"({"state":"done","status":200,"progress":[],"result":{"reached":false,"reason":"short",)" +
                           ("\"at_end\":" + at_end) + "}}");
  };
  operation_ = answered(R"({"enough":true,"reason":"1 checkouts that job job-7 alone keeps hold 4 GiB"})");
  const auto done = run(critical, critical, {"--stack", "--job-ends"});
  EXPECT_EQ(done.code, cli::kYes) << done.err;
  EXPECT_THAT(body_, HasSubstr(R"("ending_job":"job-7")"));
  EXPECT_EQ(done.out, "Disk space free: 3.0G\n");
  EXPECT_THAT(done.err, AllOf(HasSubstr("job-7 alone keeps hold 4 GiB"), Not(HasSubstr("Not enough"))));
  EXPECT_EQ(run(critical, critical, {"--json", "--job-ends"}).code, cli::kYes);
  static_cast<void>(run(critical, critical, {"--stack"}));
  EXPECT_THAT(body_, Not(HasSubstr("ending_job"))) << "only who says that it ends";
  operation_ = answered(R"({"enough":false,"reason":"it keeps none"})");
  EXPECT_EQ(run(critical, critical, {"--stack", "--job-ends"}).code, cli::kNo);
  operation_ = answered("7");
  EXPECT_EQ(run(critical, critical, {"--stack", "--job-ends"}).code, cli::kNo);
}

// Issue 14: with --config X the daemon at the usual place was asked, not X's.
TEST(DiskCheck, TheDaemonOfTheGivenConfigurationIsAsked) {
  ClientWorld world;
  world.silence = kPatient;
  const auto other = world.folder() + "/other.sock";
  const auto path = configuration(world, "1B");
  const auto yaml = read_file(path);
  ASSERT_TRUE(write_file_atomically(path, *yaml + "listen: { socket: " + other + " }\n"));
  const auto answer = http_answer(200, disk(filesystem("ok", "true", 42 * kGiB)));
  ScriptedDaemon of_x(other, [&](const SeenRequest&) { return answer; });
  EXPECT_THAT(world.run({"disk", "check", "--config", path}).out, HasSubstr("/data has 42.00 GiB free"));
  static_cast<void>(world.run({"doctor", "--config", path}));
  EXPECT_GE(of_x.seen().size(), 2U);
  const auto before = of_x.seen().size();
  static_cast<void>(world.run({"--socket", world.folder() + "/none.sock", "disk", "check", "--config", path}));
  world.environment["BUILDWARDEN_SOCKET"] = world.folder() + "/none.sock";
  static_cast<void>(world.run({"disk", "check", "--config", path}));
  EXPECT_EQ(of_x.seen().size(), before) << "what is said decides";
}

TEST_F(DiskCheckMakesRoom, ButNotWhereThereIsEnough) {
  EXPECT_EQ(run(filesystem("low", "true", 6 * kGiB), "", {}, "ensure").code, cli::kYes);
  EXPECT_EQ(body_, "");
}

TEST_F(DiskCheckMakesRoom, ARefusedReclaimIsSaidAndDecidesNothing) {
  reclaim_ = http_answer(403, R"({"detail":"only root may"})", "application/problem+json");
  const auto done = run(filesystem("critical", "true", 3 * kGiB), filesystem("ok", "true", 60 * kGiB), {}, "ensure");
  EXPECT_EQ(done.code, cli::kYes) << "somebody else made room";
  EXPECT_THAT(done.err, HasSubstr("only root may"));
}

// The stack's own lines and its two exit codes.
TEST_F(DiskCheckMakesRoom, InTheLinesOfTheStacksScript) {
  const auto enough = run(filesystem("ok", "true", 93 * kGiB), "", {"--stack"});
  EXPECT_EQ(enough.code, cli::kYes);
  EXPECT_EQ(enough.out, "Disk space free: 93G\nInodes free: 0\n");
  EXPECT_EQ(enough.err, "");
  const auto critical = filesystem("critical", "true", 3 * kGiB);
  const auto low = run(critical, critical, {"--stack"});
  EXPECT_EQ(low.code, cli::kNo);
  EXPECT_EQ(low.out, "Disk space free: 3.0G\n");
  EXPECT_THAT(low.err,
              HasSubstr("Not enough disk space free: 3.0GiB (3145728KB) available, cutoff is 5.0GiB (5242880KB) "
                        "🚨\nInsufficient disk space. Build purge not enabled.\n"));
}

TEST(DiskCheck, AskedForItsOwnMeasureItAsksNobody) {
  ClientWorld world;
  ScriptedDaemon daemon(world.socket(), [](const SeenRequest&) { return std::string(); });
  const auto run = world.run({"disk", "check", "--here", "--config", configuration(world, "1B")});
  EXPECT_EQ(run.code, cli::kYes) << run.err;
  EXPECT_EQ(run.err, "");
  EXPECT_TRUE(daemon.seen().empty());
}

// A user whom the daemon does not answer can still measure.
TEST(DiskCheck, DeniedItMeasuresHere) {
  ClientWorld world;
  world.silence = kPatient;
  const auto denied = http_answer(403, R"({"detail":"uid 7 is neither"})", "application/problem+json");
  const ScriptedDaemon daemon(world.socket(), [&](const SeenRequest&) { return denied; });
  const auto plain = world.run({"disk", "check", "--config", configuration(world, "1B")});
  EXPECT_EQ(plain.code, cli::kYes);
  EXPECT_THAT(plain.err, HasSubstr("uid 7 is neither"));
  const auto run = world.run({"disk", "check", "--stack", "--config", configuration(world, "1B")});
  EXPECT_EQ(run.code, cli::kYes) << run.err;
  EXPECT_THAT(run.out, ::testing::StartsWith("Disk space free: "));
}

TEST(DiskCheck, AFilesystemThatDoesNotGateDoesNotCount) {
  ClientWorld world;
  const auto both = disk(filesystem("critical", "false", 0) + "," + filesystem("ok", "true", 50 * kGiB));
  EXPECT_EQ(with_answer(world, http_answer(200, both), {"disk", "check"}).code, cli::kYes);
}

struct Evasive {
  std::string name;
  std::string answer;
};
class DiskCheckByItself : public ::testing::TestWithParam<Evasive> {};

// Absent, silent, broken or unknowing: the same marks decide, measured here.
TEST_P(DiskCheckByItself, MeasuresWithTheSameMarks) {
  ClientWorld world;
  const auto answer = GetParam().answer;
  std::optional<ScriptedDaemon> daemon;
  if (answer != "absent") daemon.emplace(world.socket(), [answer](const SeenRequest&) { return answer; });
  const auto enough = world.run({"disk", "check", "--config", configuration(world, "1B")});
  EXPECT_EQ(enough.code, cli::kYes) << enough.err;
  EXPECT_THAT(enough.out, HasSubstr("ok: " + world.folder()));
  EXPECT_THAT(enough.err, HasSubstr("measured here"));
  struct statvfs info{};
  ASSERT_EQ(::statvfs(world.folder().c_str(), &info), 0);
  const auto more_than_free = format("{}B", info.f_frsize * (info.f_bavail + info.f_blocks / 2) + 1);
  const auto low = world.run({"disk", "check", "--config", configuration(world, more_than_free)});
  EXPECT_EQ(low.code, cli::kNo) << low.err;
  EXPECT_THAT(low.out, HasSubstr("low: " + world.folder()));
}

INSTANTIATE_TEST_SUITE_P(
    DiskCheck, DiskCheckByItself,
    ::testing::Values(Evasive{"absent", "absent"}, Evasive{"silent", ""}, Evasive{"broken", http_answer(500, "{}")},
                      Evasive{"unknowing", http_answer(200, disk(filesystem("unknown", "true", 0)))},
                      Evasive{"watches_nothing", http_answer(200, disk(""))}),
    [](const auto& evasive) { return evasive.param.name; });

// Issue 14: a job was refused because there was no data root yet.
TEST(DiskCheck, WhatCannotBeMeasuredIsNoReasonToRefuse) {
  ClientWorld world;
  auto path = configuration(world, "1B");
  ASSERT_TRUE(write_file_atomically(world.folder() + "/daemon.json", R"({"data-root":"/nonexistent/root"})"));
  for (const std::string more : {"--here", "--stack", "--json"}) {
    const auto run = world.run({"disk", "check", more, "--config", path});
    EXPECT_EQ(run.code, cli::kYes) << more;
    EXPECT_THAT(run.err, AllOf(HasSubstr("unknown: "), HasSubstr("/nonexistent/root"))) << more;
    if (more != "--json") continue;
    EXPECT_EQ(boost::json::parse(run.out).at("low"), false);
    EXPECT_TRUE(boost::json::parse(run.out).at("measured_by").is_null());
  }
}

// Issue 16: a typo threw daemon.json and the stack's parameters away with the YAML.
TEST(DiskCheck, AWrongYamlIsLeftOutAlone) {
  ClientWorld world;
  const auto path = world.folder() + "/wrong.yaml";
  ASSERT_TRUE(write_file_atomically(path, "disk: { min_fre: 5GiB }\n"));
  const auto run = world.run({"disk", "check", "--here", "--config", path});
  EXPECT_THAT(run.err, AllOf(HasSubstr("does not count, but for what other files say"), HasSubstr("min_fre")));
  EXPECT_THAT(run.out + run.err, AnyOf(HasSubstr("ok: "), HasSubstr("low: "), HasSubstr("unknown: ")));
}

// What `disk reclaim` shows when the operation is done.
class Reclaim : public ::testing::Test {
 protected:
  ClientRun run(const std::string& reached, std::vector<std::string> arguments) {
    const ScriptedDaemon daemon(world_.socket(), [&](const SeenRequest& request) {
      if (request.line().starts_with("POST")) {
        body_ = request.body;
        return http_answer(202, R"({"operation":"7"})");
      }
      return http_answer(200,
                         R"({"state":"succeeded","status":200,"progress":["rung 5"],"result":{"dry_run":)" + dry_run_ +
                             R"(,"reached":)" + reached +
                             R"(,"free_before_bytes":1073741824,"free_after_bytes":2147483648,"reason":"all done",)"
                             R"("steps":[{"rung":"images","what":"app:1","reported_bytes":7,)" +
                             freed_ + R"(}],"last_resort":)" + last_resort_ + "}}");
    });
    return world_.run(std::move(arguments));
  }
  ClientWorld world_;
  std::string body_;
  std::string dry_run_ = "false";
  std::string last_resort_ = "null";
  std::string freed_ = R"("freed_bytes":1024)";
};

TEST_F(Reclaim, ReachedIsYes) {
  const auto done = run("true", {"disk", "reclaim", "--target", "2GiB"});
  EXPECT_EQ(done.code, cli::kYes);
  EXPECT_EQ(boost::json::parse(body_), boost::json::parse(R"({"dry_run":false,"target_free_bytes":2147483648})"));
  EXPECT_EQ(done.out,
            "RUNG    GONE   FREED\nimages  app:1  1 KiB\n\n1.00 GiB -> 2.00 GiB free; target reached: all done\n");
}

TEST_F(Reclaim, WhatIsNotKnownOrWasTakenByOthersIsSaid) {
  freed_ = R"("freed_bytes":null,"others_took_bytes":0)";
  EXPECT_THAT(run("true", {"disk", "reclaim"}).out, HasSubstr("images  app:1  unknown\n"));
  freed_ = R"("freed_bytes":0,"others_took_bytes":1024)";
  EXPECT_THAT(run("true", {"disk", "reclaim"}).out, HasSubstr("app:1  0 B, others took 1 KiB meanwhile\n"));
}

TEST_F(Reclaim, WhatItCostsToGetBackIsShownWhereItIsKnown) {
  freed_ = R"("freed_bytes":1024,"cost_seconds":12.44,"cost_is_estimated":true,"uses":7)";
  EXPECT_THAT(run("true", {"disk", "reclaim"}).out,
              HasSubstr("RUNG    GONE   FREED  COST    USES\nimages  app:1  1 KiB  ~12.4s  7\n"));
  freed_ = R"("freed_bytes":1024,"cost_seconds":8.191,"cost_is_estimated":false,"uses":null)";
  EXPECT_THAT(run("true", {"disk", "reclaim"}).out, HasSubstr("1 KiB  8.2s  -\n"));
}

TEST_F(Reclaim, NotReachedIsNo) { EXPECT_EQ(run("false", {"disk", "reclaim"}).code, cli::kNo); }

TEST_F(Reclaim, ADryRunIsAPlan) {
  dry_run_ = "true";
  const auto plan = run("true", {"disk", "reclaim", "--dry-run"});
  EXPECT_EQ(plan.code, cli::kYes);
  EXPECT_EQ(run("false", {"disk", "reclaim", "--dry-run"}).code, cli::kNo) << "it would not reach the target either";
  EXPECT_EQ(body_, R"({"dry_run":true})");
  EXPECT_THAT(plan.out, HasSubstr("WOULD GO"));
  EXPECT_THAT(plan.out, Not(HasSubstr("last resort")));
}

TEST_F(Reclaim, APlanNamesTheLastResort) {
  dry_run_ = "true";
  last_resort_ = R"({"reason":"it would be drained","rule":"dry_run"})";
  EXPECT_THAT(run("false", {"disk", "reclaim", "--dry-run"}).out,
              HasSubstr("\n\nthen, as the last resort: it would be drained\n1.00 GiB -> "));
}

TEST_F(Reclaim, ShowsProgressOnATerminalOnly) {
  EXPECT_THAT(run("true", {"disk", "reclaim"}).out, Not(HasSubstr("rung 5")));
  world_.terminal = true;
  EXPECT_THAT(run("true", {"disk", "reclaim"}).out, HasSubstr("rung 5"));
  EXPECT_THAT(run("true", {"disk", "reclaim", "--json"}).out, Not(HasSubstr("rung 5")));
}

TEST(ReclaimWait, GivesUpAfterTheGivenTime) {
  ClientWorld world;
  const ScriptedDaemon daemon(world.socket(), [](const SeenRequest& request) {
    return request.line().starts_with("POST") ? http_answer(202, R"({"operation":"7"})")
                                              : http_answer(200, R"({"state":"running"})");
  });
  const auto run = world.run({"disk", "reclaim", "--wait", "1ms"});
  EXPECT_EQ(run.code, cli::kNo);
  EXPECT_THAT(run.err, HasSubstr("still running"));
}

TEST(ReclaimDenied, IsFour) {
  ClientWorld world;
  const auto run = with_answer(world, http_answer(403, R"({"detail":"only root"})", "application/problem+json"),
                               {"disk", "reclaim", "--target", "1TB"});
  EXPECT_EQ(run.code, cli::kDenied);
  EXPECT_THAT(run.err, HasSubstr("only root"));
}

}  // namespace
}  // namespace buildwarden::testing
