#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>

#include "common/atomic_file.h"
#include "tests/unit/cli/scripted_daemon.h"

namespace buildwarden::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

mode_t mode_of(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777U : 0;
}

bool exists(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0;
}

std::string grant(const std::string& path) {
  return R"({"id":"1","verdict":"run","reason":"enough","env":{"BUILDX_BUILDER":"buildwarden-s3","A":"b"},)"
         R"("files":[{"path":")" +
         path + R"(","mode":384,"content":"{}"}]})";
}

// The command line against a daemon that gives each request the same answer.
ClientRun start(ClientWorld& world, const std::string& answer, std::vector<std::string> more = {}) {
  world.silence = std::chrono::seconds{30};  // it does answer, on a machine that is busy
  const ScriptedDaemon daemon(world.socket(), [&answer](const SeenRequest&) { return answer; });
  std::vector<std::string> arguments = {"job", "start", "--id", "1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return world.run(std::move(arguments));
}

TEST(JobStart, SendsWhatItWasTold) {
  ClientWorld world;
  world.environment = {{"BUILDKITE_JOB_ID", "from-env"},
                       {"BUILDKITE_AGENT_NAME", "agent-1"},
                       {"BUILDKITE_PIPELINE_SLUG", "pipe"},
                       {"BUILDKITE_BUILD_CHECKOUT_PATH", "/b/x"},
                       {"BUILDWARDEN_BUILDER", "s3"}};
  ScriptedDaemon daemon(world.socket(), [](const SeenRequest&) { return http_answer(201, R"({"verdict":"run"})"); });
  const auto run = world.run({"job", "start", "--need", "10GiB", "--builder", "a", "--builder", "b", "--platform",
                              "linux/arm64", "--ttl", "2h", "--pid", "77", "--cache-name", "c", "--agent", "given"});
  EXPECT_EQ(run.code, cli::kYes) << run.err;
  ASSERT_EQ(daemon.seen().size(), 1U);
  EXPECT_EQ(daemon.seen()[0].line(), "POST /v1/jobs HTTP/1.1");
  EXPECT_EQ(boost::json::parse(daemon.seen()[0].body), boost::json::parse(R"({"id":"from-env","agent":"given",
    "pipeline":"pipe","checkout_path":"/b/x","pid":77,"need_bytes":10737418240,"builders":["a","b"],"use":"s3",
    "platforms":["linux/arm64"],"cache_name":"c","ttl_seconds":7200})"));
}

TEST(JobStart, SendsNothingThatItWasNotTold) {
  ClientWorld world;
  ScriptedDaemon daemon(world.socket(), [](const SeenRequest&) { return http_answer(200, R"({"verdict":"run"})"); });
  EXPECT_EQ(world.run({"job", "start", "--id", "1"}).code, cli::kYes);
  EXPECT_EQ(daemon.seen()[0].body, R"({"id":"1"})");
}

TEST(JobStart, SaysWhetherTheContextIsToBeReused) {
  for (const std::string wish : {"true", "false"}) {
    ClientWorld world;
    ScriptedDaemon daemon(world.socket(), [](const SeenRequest&) { return http_answer(200, R"({"verdict":"run"})"); });
    const auto option = wish == "true" ? "--reuse-context" : "--no-reuse-context";
    EXPECT_EQ(world.run({"job", "start", "--id", "1", option}).code, cli::kYes);
    EXPECT_EQ(daemon.seen()[0].body, R"({"id":"1","reuse_context":)" + wish + "}");
  }
  ClientWorld world;
  EXPECT_EQ(world.run({"job", "start", "--id", "1", "--reuse-context", "--no-reuse-context"}).code, cli::kUsage);
}

TEST(JobStart, WritesTheFilesAndPrintsTheVariables) {
  ClientWorld world;
  world.environment["DOCKER_CONFIG"] = world.folder() + "/docker";
  const auto run = start(world, http_answer(201, grant("instances/buildwarden-s3")));
  EXPECT_EQ(run.code, cli::kYes);
  EXPECT_EQ(run.out, "export BUILDX_BUILDER='buildwarden-s3'\nexport A='b'\n");
  EXPECT_EQ(run.err, "");
  const auto folder = world.folder() + "/docker/buildx";
  EXPECT_EQ(read_file(folder + "/instances/buildwarden-s3").value_or("none"), "{}");
  EXPECT_EQ(mode_of(folder + "/instances/buildwarden-s3"), 0600U);
  EXPECT_EQ(mode_of(folder + "/instances"), 0700U);
  EXPECT_EQ(mode_of(folder), 0700U);
}

TEST(JobStart, SaysWhetherImagesAreLoaded) {
  for (const std::string wish : {"true", "false"}) {
    ClientWorld world;
    ScriptedDaemon daemon(world.socket(), [](const SeenRequest&) { return http_answer(200, R"({"verdict":"run"})"); });
    EXPECT_EQ(world.run({"job", "start", "--id", "1", wish == "true" ? "--load" : "--no-load"}).code, cli::kYes);
    EXPECT_EQ(daemon.seen()[0].body, R"({"id":"1","load":)" + wish + "}");
  }
  ClientWorld world;
  EXPECT_EQ(world.run({"job", "start", "--id", "1", "--load", "--no-load"}).code, cli::kUsage);
}

// buildx 0.13 answers each command on such an instance with "invalid driver option default-load for remote driver".
TEST(JobStart, ABuildxThatDoesNotKnowDefaultLoadIsNotGivenIt) {
  const std::string loads = R"({"Name":"x","Nodes":[{"Name":"x0","DriverOpts":{"default-load":"true"}}]})";
  const std::string plain = R"({"Name":"x","Nodes":[{"Name":"x0","DriverOpts":{}}]})";
  const std::vector<std::pair<std::string, std::string>> known = {
      {"github.com/docker/buildx v0.14.0 171fcbe\n", loads},         {"github.com/docker/buildx 1.0.0\n", loads},
      {"github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3\n", plain}, {"", plain},
      {"docker: 'buildx' is not a docker command.\n", plain},
  };
  for (const auto& [version, written] : known) {
    ClientWorld world;
    world.buildx_version = version;
    world.environment["BUILDX_CONFIG"] = world.folder() + "/bx";
    boost::json::object file{{"path", "instances/x"}, {"mode", 384}, {"content", loads}};
    const auto files = boost::json::array{file};
    const auto answer = boost::json::object{{"verdict", "run"}, {"env", boost::json::object{}}, {"files", files}};
    const auto run = start(world, http_answer(201, boost::json::serialize(answer)));
    EXPECT_EQ(run.code, cli::kYes);
    EXPECT_EQ(read_file(world.folder() + "/bx/instances/x").value_or("none"), written) << version;
    EXPECT_EQ(run.err.empty(), written == loads) << run.err;
  }
}

TEST(JobStart, BuildxConfigBeatsDockerConfig) {
  ClientWorld world;
  world.environment = {{"DOCKER_CONFIG", world.folder() + "/docker"}, {"BUILDX_CONFIG", world.folder() + "/bx"}};
  EXPECT_EQ(start(world, http_answer(201, grant("instances/a"))).code, cli::kYes);
  EXPECT_TRUE(exists(world.folder() + "/bx/instances/a"));
  EXPECT_FALSE(exists(world.folder() + "/docker"));
}

TEST(JobStart, WithoutAFolderItWarnsAndNamesNoBuilder) {
  ClientWorld world;
  const auto run = start(world, http_answer(201, grant("instances/a")));
  EXPECT_EQ(run.code, cli::kYes);
  EXPECT_EQ(run.out, "export A='b'\n");
  EXPECT_THAT(run.err, HasSubstr("neither BUILDX_CONFIG nor DOCKER_CONFIG is set"));
}

TEST(JobStart, PrintEnvWritesNoFile) {
  ClientWorld world;
  world.environment["BUILDX_CONFIG"] = world.folder() + "/bx";
  const auto run = start(world, http_answer(201, grant("instances/a")), {"--print-env"});
  EXPECT_THAT(run.out, HasSubstr("export BUILDX_BUILDER="));
  EXPECT_FALSE(exists(world.folder() + "/bx"));
}

TEST(JobStart, JsonIsTheDaemonsAnswer) {
  ClientWorld world;
  world.environment["BUILDX_CONFIG"] = world.folder() + "/bx";
  const auto run = start(world, http_answer(201, grant("instances/a")), {"--json"});
  EXPECT_EQ(run.out, grant("instances/a") + "\n");
  EXPECT_FALSE(exists(world.folder() + "/bx"));
}

class HostilePath : public ::testing::TestWithParam<std::string> {};

TEST_P(HostilePath, NothingIsWrittenOutsideAndTheJobGoesOn) {
  ClientWorld world;
  world.environment["BUILDX_CONFIG"] = world.folder() + "/bx";
  ASSERT_EQ(::mkdir((world.folder() + "/bx").c_str(), 0700), 0);
  ASSERT_EQ(::mkdir((world.folder() + "/outside").c_str(), 0700), 0);
  ASSERT_EQ(::symlink((world.folder() + "/outside").c_str(), (world.folder() + "/bx/link").c_str()), 0);
  const auto run = start(world, http_answer(201, grant(GetParam())));
  EXPECT_EQ(run.code, cli::kYes);
  EXPECT_EQ(run.out, "export A='b'\n");
  EXPECT_THAT(run.err, HasSubstr("would not be below"));
  EXPECT_EQ(::rmdir((world.folder() + "/outside").c_str()), 0) << "something was written there";
  EXPECT_FALSE(exists(world.folder() + "/evil"));
  EXPECT_FALSE(exists("/tmp/evil-of-buildwarden"));
}

INSTANTIATE_TEST_SUITE_P(JobStart, HostilePath,
                         ::testing::Values("../evil", "instances/../../evil", "/tmp/evil-of-buildwarden", "link/evil",
                                           "", "instances//evil", "./evil", "instances/evil/", "a\\u0000/../../evil"));

TEST(JobStart, AFileAtALinkReplacesTheLink) {
  ClientWorld world;
  world.environment["BUILDX_CONFIG"] = world.folder();
  ASSERT_TRUE(write_file_atomically(world.folder() + "/victim", "untouched"));
  ASSERT_EQ(::symlink((world.folder() + "/victim").c_str(), (world.folder() + "/current").c_str()), 0);
  EXPECT_EQ(start(world, http_answer(201, grant("current"))).code, cli::kYes);
  EXPECT_EQ(read_file(world.folder() + "/victim").value_or(""), "untouched");
  EXPECT_EQ(read_file(world.folder() + "/current").value_or(""), "{}");
}

TEST(JobStart, SaysWhatCouldNotBeGiven) {
  ClientWorld world;
  const auto run = start(world, http_answer(201, R"({"verdict":"run","env":{},"files":[],
    "note":"builder s3 is not handed out: it has not answered for 41s"})"));
  EXPECT_EQ(run.code, cli::kYes);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, HasSubstr("builder s3 is not handed out: it has not answered for 41s"));
}

TEST(JobStart, HostileValuesStayOneWord) {
  ClientWorld world;
  const std::string value = R"(a'b"; rm -rf / $(touch evil) `id` \\n)";
  const auto run = start(world, http_answer(201, R"({"verdict":"run","env":{"X":"a'b\"; $(id) `id` \\ \n!","B-AD":"1",
    "3X":"1","X;id":"1","":"1","NUL":"a\u0000b","N":5}})"));
  EXPECT_EQ(run.out, "export X='a'\\''b\"; $(id) `id` \\ \n!'\n");
  EXPECT_THAT(run.err, AllOf(HasSubstr("B-AD"), HasSubstr("3X"), HasSubstr("X;id"), HasSubstr("NUL")));
}

TEST(JobStart, ARefusalSaysWhyAndWhoTakesTheRoom) {
  ClientWorld world;
  const auto run = start(world, http_answer(507, R"({"title":"No space","status":507,"detail":"2.0 GiB free of 5 GiB",
    "users":[{"kind":"images","name":"big\u001b[2J","bytes":3221225472},{"kind":"build_cache","name":"7 records","bytes":1024},
    {"kind":"builder_cache","name":"s3","bytes":2048},{"kind":"checkouts","name":"agent-1","bytes":3072},
    {"kind":"unattributed","name":"","bytes":4096}]})",
                                            "application/problem+json"));
  EXPECT_EQ(run.code, cli::kNo);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, AllOf(HasSubstr("2.0 GiB free of 5 GiB"), HasSubstr("images (big\\x1b[2J): 3.00 GiB"),
                             HasSubstr("build cache of the engine (7 records): 1 KiB"),
                             HasSubstr("cache of the builder s3: 2 KiB"), HasSubstr("checkouts of agent-1: 3 KiB"),
                             HasSubstr("files of nobody in particular: 4 KiB")));
}

// What a hook must tell apart, in words that a shell can evaluate; for others nothing changes.
TEST(JobStart, TellsAHookTheVerdict) {
  ClientWorld world;
  world.environment["BUILDX_CONFIG"] = world.folder();
  EXPECT_THAT(start(world, http_answer(201, grant("instances/a")), {"--hook"}).out,
              ::testing::StartsWith("BUILDWARDEN_VERDICT=run\nexport "));
  const auto refused =
      start(world, http_answer(507, R"({"detail":"d","reason":"it's `full`\n","pause_agent":true})"), {"--hook"});
  EXPECT_EQ(refused.code, cli::kNo);
  EXPECT_EQ(refused.out,
            "BUILDWARDEN_VERDICT=refuse\nBUILDWARDEN_REASON='it'\\''s `full`\\x0a'\nBUILDWARDEN_PAUSE_AGENT=true\n");
  for (const int status : {503, 409}) {
    const auto absent = start(world, http_answer(status, R"({"detail":"starting"})"), {"--hook"});
    EXPECT_EQ(absent.out, "BUILDWARDEN_VERDICT=absent\n");
  }
}

// Its hook has lines that delete images; nobody else has.
TEST(JobStart, ARefusalOfADaemonThatCannotDeleteImagesIsLeftToTheHook) {
  ClientWorld world;
  const auto answer = http_answer(507, R"({"detail":"1 GiB free","images_failed":"the engine cannot be reached"})");
  const auto left = start(world, answer, {"--hook"});
  EXPECT_EQ(left.code, cli::kYes);
  EXPECT_EQ(left.out, "BUILDWARDEN_VERDICT=absent\n");
  EXPECT_THAT(left.err, AllOf(HasSubstr("1 GiB free"), HasSubstr("the engine cannot be reached")));
  EXPECT_EQ(start(world, answer).code, cli::kNo);
  EXPECT_EQ(start(world, http_answer(507, R"({"detail":"d","images_failed":null})"), {"--hook"}).code, cli::kNo);
}

TEST(JobStart, FollowsAnOperationToItsEnd) {
  ClientWorld world;
  world.environment["BUILDX_CONFIG"] = world.folder();
  int asked = 0;
  ScriptedDaemon daemon(world.socket(), [&asked](const SeenRequest& request) {
    if (request.line().starts_with("POST")) return http_answer(202, R"({"operation":"op 7"})");
    ++asked;
    if (asked == 1) return http_answer(200, R"({"state":"running","progress":["removing image a"]})");
    return http_answer(200, R"({"state":"succeeded","status":201,"progress":["removing image a","removing image b"],
      "result":)" + grant("instances/a") +
                                "}");
  });
  const auto run = world.run({"job", "start", "--id", "1"});
  EXPECT_EQ(run.code, cli::kYes) << run.err;
  EXPECT_EQ(run.err, "buildwarden: removing image a\nbuildwarden: removing image b\n");
  EXPECT_THAT(run.out, HasSubstr("export BUILDX_BUILDER="));
  EXPECT_TRUE(exists(world.folder() + "/instances/a"));
  EXPECT_EQ(daemon.seen()[1].line(), "GET /v1/operations/op%207?wait=1 HTTP/1.1");
}

TEST(JobStart, AnOperationMayEndInARefusal) {
  ClientWorld world;
  ScriptedDaemon daemon(world.socket(), [](const SeenRequest& request) {
    if (request.line().starts_with("POST")) return http_answer(202, R"({"operation":"7"})");
    return http_answer(200, R"({"state":"failed","status":507,"progress":[],
      "result":{"detail":"still full","users":[]}})");
  });
  const auto run = world.run({"job", "start", "--id", "1"});
  EXPECT_EQ(run.code, cli::kNo);
  EXPECT_THAT(run.err, HasSubstr("still full"));
}

TEST(JobStart, AnInterruptedOperationIsAnAbsentDaemon) {
  ClientWorld world;
  ScriptedDaemon daemon(world.socket(), [](const SeenRequest& request) {
    if (request.line().starts_with("POST")) return http_answer(202, R"({"operation":"7"})");
    return http_answer(200, R"({"state":"interrupted"})");
  });
  const auto run = world.run({"job", "start", "--id", "1"});
  EXPECT_EQ(run.code, cli::kYes);
  EXPECT_THAT(run.err, HasSubstr("goes on without it"));
}

struct Status {
  int status;
  int start;
  int end;
};  // 1 is the daemon's refusal and nothing else
class JobStatus : public ::testing::TestWithParam<Status> {};

TEST_P(JobStatus, MapsToTheExitCode) {
  ClientWorld world;
  ScriptedDaemon daemon(world.socket(), [](const SeenRequest&) {
    return http_answer(GetParam().status, R"({"detail":"a problem"})", "application/problem+json");
  });
  EXPECT_EQ(world.run({"job", "start", "--id", "1"}).code, GetParam().start);
  const auto end = world.run({"job", "end", "--id", "1"});
  EXPECT_EQ(end.code, GetParam().end);
  EXPECT_EQ(end.out, "");
}

INSTANTIATE_TEST_SUITE_P(Job, JobStatus,
                         ::testing::Values(Status{400, cli::kUsage, cli::kUsage},
                                           Status{401, cli::kDenied, cli::kDenied},
                                           Status{403, cli::kDenied, cli::kDenied}, Status{404, cli::kYes, cli::kYes},
                                           Status{409, cli::kYes, cli::kYes}, Status{413, cli::kYes, cli::kYes},
                                           Status{500, cli::kYes, cli::kYes}, Status{503, cli::kYes, cli::kYes}));

TEST(JobStart, ASilentDaemonIsAnAbsentOne) {
  ClientWorld world;
  ScriptedDaemon daemon(world.socket(), [](const SeenRequest&) { return std::string(); });
  const auto before = std::chrono::steady_clock::now();
  const auto run = world.run({"job", "start", "--id", "1"});
  EXPECT_EQ(run.code, cli::kYes);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, HasSubstr("goes on without it"));
  const auto waited = std::chrono::steady_clock::now() - before;
  EXPECT_GE(waited, world.silence);
  EXPECT_LT(waited, std::chrono::seconds{50});
}

TEST(JobStart, TheSilenceOfTheRealClientIsTwoSeconds) {
  EXPECT_EQ(cli::process_context().silence, std::chrono::seconds{2});
}

TEST(JobStart, ADaemonThatTalksNonsenseIsAnAbsentOne) {
  ClientWorld world;
  EXPECT_EQ(start(world, "SSH-2.0-OpenSSH_9.2\r\n\r\n").code, cli::kYes);
}

TEST(JobEnd, NamesTheJobWhateverItIsCalled) {
  ClientWorld world;
  ScriptedDaemon daemon(world.socket(),
                        [](const SeenRequest&) { return std::string("HTTP/1.1 204 No Content\r\n\r\n"); });
  const auto run = world.run({"job", "end", "--id", "a/../b?c#d \xc3\xa4"});
  EXPECT_EQ(run.code, cli::kYes) << run.err;
  EXPECT_EQ(daemon.seen()[0].line(), "DELETE /v1/jobs/a%2F..%2Fb%3Fc%23d%20%C3%A4 HTTP/1.1");
}

}  // namespace
}  // namespace buildwarden::testing
