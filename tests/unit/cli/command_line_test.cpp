#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "common/atomic_file.h"
#include "tests/unit/cli/scripted_daemon.h"

namespace buildwarden::testing {
namespace {

using ::testing::HasSubstr;

struct Line {
  std::vector<std::string> arguments;
  int code;
  std::string says;  // on stdout or stderr
};

class ExitCodes : public ::testing::TestWithParam<Line> {};

TEST_P(ExitCodes, WithoutDaemon) {
  ClientWorld world;
  const auto run = world.run(GetParam().arguments);
  EXPECT_EQ(run.code, GetParam().code) << run.out << run.err;
  EXPECT_THAT(run.out + run.err, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    CommandLine, ExitCodes,
    ::testing::Values(
        Line{{"--version"}, cli::kYes, "buildwarden " BUILDWARDEN_VERSION},
        Line{{"--help"}, cli::kYes, "run the daemon"}, Line{{"disk", "--help"}, cli::kYes, "reclaim"},
        Line{{"job", "start", "--help"}, cli::kYes, "--need"}, Line{{}, cli::kUsage, "run the daemon"},
        Line{{"nonsense"}, cli::kUsage, "nonsense"}, Line{{"job"}, cli::kUsage, "Usage: buildwarden job "},
        Line{{"disk", "nonsense"}, cli::kUsage, "nonsense"},
        Line{{"config"}, cli::kUsage, "Usage: buildwarden config "},
        Line{{"sttaus", "disk"}, cli::kUsage, "\"sttaus\" is no command of buildwarden; did you mean status?"},
        Line{{"disk", "--socket", "relcaim", "relcaim"},
             cli::kUsage,
             "\"relcaim\" is no command of buildwarden disk; did you mean reclaim?"},
        Line{{"events", "--folow"},
             cli::kUsage,
             "\"--folow\" is no option of buildwarden events; did you mean --follow?"},
        Line{{"builders", "--jsn"}, cli::kUsage, "did you mean --json?"},
        Line{
            {"builders", "show", "s3", "s4"}, cli::kUsage, "\"s4\" is one word too many for buildwarden builders show"},
        Line{{"builders", "show"}, cli::kUsage, "name is required"},
        Line{{"events", "--since", "yesterday"}, cli::kUsage, "a duration such as 90s or 1h"},
        Line{{"events", "--since", "99999999999999999999"}, cli::kUsage, "a number of an event"},
        Line{{"events", "--severity", "bad"}, cli::kUsage, "--severity"},
        Line{{"events", "-n5", "--severity", "bad"}, cli::kUsage, "--severity"},
        Line{{"version"}, cli::kUnreachable, "client " BUILDWARDEN_VERSION "\n"},
        Line{{"jobs"}, cli::kUnreachable, "no answer"}, Line{{"config", "show"}, cli::kUnreachable, "no answer"},
        Line{{"emulators", "verify"}, cli::kUnreachable, "no answer"},
        Line{{"status", "--wrong"}, cli::kUsage, "--wrong"},
        Line{{"disk", "reclaim", "--target", "lots"}, cli::kUsage, "a size such as"},
        Line{{"disk", "reclaim", "--wait", "5"}, cli::kUsage, "a duration such as"},
        Line{{"job", "start", "--id", "1", "--pid", "1"}, cli::kUsage, "--pid"},
        Line{{"job", "start", "--id", "1", "--need", "-1GiB"}, cli::kUsage, "--need"},
        Line{{"job", "start"}, cli::kUsage, "BUILDKITE_JOB_ID"}, Line{{"job", "end"}, cli::kUsage, "--id"},
        Line{{"job", "end", "--id", std::string(129, 'x')}, cli::kUsage, "128"},
        Line{{"status"}, cli::kUnreachable, "no answer"}, Line{{"disk"}, cli::kUnreachable, "no answer"},
        Line{{"builders"}, cli::kUnreachable, "no answer"}, Line{{"events"}, cli::kUnreachable, "no answer"},
        Line{{"events", "--follow"}, cli::kUnreachable, "no answer"},
        Line{{"events", "--before", "9", "--limit", "2"}, cli::kUnreachable, "no answer"},
        Line{{"events", "--before", "0"}, cli::kUsage, "--before"},
        Line{{"events", "--before", "9", "--since", "1"}, cli::kUsage, "excludes"},
        Line{{"events", "--before", "9", "--follow"}, cli::kUsage, "excludes"},
        Line{{"disk", "reclaim"}, cli::kUnreachable, "no answer"},
        Line{{"status", "--json"}, cli::kUnreachable, "no answer"},
        Line{{"job", "start", "--id", "1"}, cli::kYes, "goes on without it"},
        Line{{"job", "end", "--id", "1"}, cli::kYes, "goes on without it"}));

TEST(CommandLine, ServeGetsItsOptions) {
  ClientWorld world;
  cli::ServeOptions seen;
  const auto serve = [&seen](const cli::ServeOptions& options) {
    seen = options;
    return 17;
  };
  EXPECT_EQ(world.run({"serve", "--config", "/x.yaml", "--dry-run", "--socket", "/s"}, serve).code, 17);
  EXPECT_EQ(seen.load.yaml_path, "/x.yaml");
  EXPECT_TRUE(seen.load.yaml_required);
  EXPECT_TRUE(seen.dry_run);
  EXPECT_EQ(seen.load.overrides, (std::map<std::string, std::string>{{"dry_run", "true"}, {"listen.socket", "/s"}}));
  config::LoadRequest request;
  request.overrides = seen.load.overrides;
  const auto loaded = config::load(request);
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_TRUE(loaded->settings.dry_run);
  EXPECT_EQ(loaded->settings.listen.socket, "/s");
}

TEST(CommandLine, WhatCouldNotBePrintedIsNo) {
  ClientWorld world;
  const ScriptedDaemon daemon(world.socket(),
                              [](const SeenRequest&) { return http_answer(200, R"({"builders":[]})"); });
  EXPECT_EQ(world.run({"builders"}).code, cli::kYes);
  world.full = true;
  const auto job = world.run({"job", "start", "--id", "1"});
  EXPECT_EQ(job.code, cli::kUsage) << "1 is the daemon's refusal" << job.err;
  const auto run = world.run({"builders"});
  EXPECT_EQ(run.code, cli::kNo);
  EXPECT_EQ(run.err, "buildwarden: what was to be printed could not be written\n");
}

TEST(CommandLine, ServeWithoutOptionsOverridesNothing) {
  ClientWorld world;
  world.environment["BUILDWARDEN_SOCKET"] = "/of/the/client";
  cli::ServeOptions seen;
  world.run({"serve"}, [&seen](const cli::ServeOptions& options) {
    seen = options;
    return 0;
  });
  EXPECT_EQ(seen.load.yaml_path, config::LoadRequest{}.yaml_path);
  EXPECT_FALSE(seen.load.yaml_required);
  EXPECT_FALSE(seen.dry_run);
  EXPECT_TRUE(seen.load.overrides.empty());
}

TEST(CommandLine, MistakesOfTheConfigurationAreJsonWhereThatIsAskedFor) {
  ClientWorld world;
  const auto file = world.folder() + "/bad.yaml";
  ASSERT_TRUE(write_file_atomically(file, "dry_run: 1\nlog: {level: loud}\n"));
  const auto lines = world.run({"config", "check", "--config", file});
  EXPECT_EQ(lines.code, cli::kNo);
  EXPECT_EQ(lines.out, "");
  const auto run = world.run({"config", "check", "--json", "--config", file});
  EXPECT_EQ(run.code, cli::kNo);
  EXPECT_EQ(run.err, "");
  const auto mistakes = boost::json::parse(run.out).at("mistakes").as_array();
  ASSERT_EQ(mistakes.size(), 2U);
  EXPECT_EQ(std::string(mistakes[0].as_string()) + "\n" + std::string(mistakes[1].as_string()) + "\n", lines.err);
}

TEST(CommandLine, TheSocketOptionBeatsTheEnvironment) {
  ClientWorld world;
  const ScriptedDaemon daemon(world.socket(),
                              [](const SeenRequest&) { return http_answer(200, R"({"builders":[]})"); });
  world.environment["BUILDWARDEN_SOCKET"] = world.folder() + "/nobody.sock";
  EXPECT_EQ(world.run({"builders"}).code, cli::kUnreachable);
  EXPECT_EQ(world.run({"builders", "--socket", world.socket()}).code, cli::kYes);
  EXPECT_EQ(world.run({"--socket", world.socket(), "builders"}).code, cli::kYes);
}

TEST(CommandLine, ASocketThatMayNotBeOpenedIsDenied) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
  ClientWorld world;
  const ScriptedDaemon daemon(world.socket(), [](const SeenRequest&) { return http_answer(200, "{}"); });
  ASSERT_EQ(::chmod(world.folder().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(world.socket().c_str(), 0600), 0);
  ASSERT_EQ(::seteuid(65534), 0);
  const auto status = world.run({"status"});
  const auto job = world.run({"job", "start", "--id", "1"});
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_EQ(status.code, cli::kDenied) << status.err;
  EXPECT_EQ(job.code, cli::kDenied) << job.err;
}

}  // namespace
}  // namespace buildwarden::testing
