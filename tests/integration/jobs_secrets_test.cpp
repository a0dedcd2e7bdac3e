// The S3 cache: what jobs are told, what BuildKit is told, and that nobody's keys stay anywhere.
#include "tests/support/daemon_fixture.h"

namespace buildwarden::testing {
namespace {

constexpr const char* kJobKey = "AKIAOFTHEJOBXXXXXXXX";
constexpr const char* kJobSecret = "wJalrXUtnFEMI-of-the-job-bPxRfiCYEXAMPLE";
constexpr const char* kJobToken = "FwoGZXIvYXdzEOf-the-job-session";
constexpr const char* kPullSecret = "cHVsbDpwdWxsLXNlY3JldC1vZi10aGUtaG9zdA==";  // of engine.docker_config

class JobSecrets : public DaemonFixture {
 protected:
  void start() {
    const auto config =
        run_shell("mkdir " + dir() + "/pulls && printf '%s' '{\"auths\":{\"registry.example\":{\"auth\":\"" +
                  kPullSecret + "\"}}}' > " + dir() + "/pulls/config.json");
    ASSERT_EQ(config.exit_code, 0) << config.out;
    DaemonOptions options;
    options.builders =
        "[ { name: s3, cache: { type: s3, bucket: cache-bucket, region: eu-west-1, prefix: team/, endpoint_url: "
        "\"http://127.0.0.1:9\", use_path_style: true } } ]";
    options.engine = "docker_config: " + dir() + "/pulls";
    start_daemon(options);
    wait_until_warm();
  }
  // As a job on the stack has them: in its environment.
  [[nodiscard]] CommandResult job(const std::string& script) const {
    return job_shell(std::string("export AWS_ACCESS_KEY_ID=") + kJobKey + " AWS_SECRET_ACCESS_KEY=" + kJobSecret +
                     " AWS_SESSION_TOKEN=" + kJobToken + "\n" + script);
  }
};

TEST_F(JobSecrets, TheFlagsAreHandedOutAndNobodysKeysStay) {
  start();
  const auto told = job(
      "buildwarden job start --id 1 --use s3 --cache-name app --pipeline web > \"$DOCKER_CONFIG/granted\"\n"
      "cat \"$DOCKER_CONFIG/granted\"; cat \"$DOCKER_CONFIG\"/buildx/instances/*\n"
      ". \"$DOCKER_CONFIG/granted\"\n"
      // Nothing listens there, and the test builder has no such exporter: it is enough that the client sends the keys.
      "docker build --progress plain --cache-to \"$BUILDWARDEN_CACHE_TO\" \"$CONTEXT\" || echo rc $?\n"
      "cat \"$DOCKER_CONFIG\"/buildx/instances/*");
  ASSERT_EQ(told.exit_code, 0) << told.out;
  const bool refused = told.out.find("unknown cache exporter: \"s3\"") != std::string::npos;
  EXPECT_TRUE(refused || told.out.find("rc ") == std::string::npos) << told.out;
  const std::string place =
      "type=s3,region=eu-west-1,bucket=cache-bucket,prefix=team/,name=app,endpoint_url=http://127.0.0.1:9,"
      "use_path_style=true";
  EXPECT_NE(told.out.find("export BUILDWARDEN_CACHE_FROM='" + place + "'\n"), std::string::npos) << told.out;
  EXPECT_NE(told.out.find("export BUILDWARDEN_CACHE_TO='" + place + ",mode=max,ignore-error=true'\n"),
            std::string::npos);
  EXPECT_NE(
      engine_shell("docker exec buildwarden_s3 cat /etc/buildkit/buildkitd.toml").out.find("[history]\n  maxAge = 1\n"),
      std::string::npos);

  std::string everything = told.out + log();
  for (const auto* path : {"/v1/status", "/v1/config", "/v1/jobs", "/v1/builders", "/v1/events?since=0", "/metrics"}) {
    everything += api(path);
  }
  everything += engine_shell(
                    "docker inspect $(docker ps -aq) $(docker volume ls -q) $(docker image ls -q); docker logs "
                    "buildwarden_s3 2>&1; docker exec buildwarden_s3 cat /etc/buildkit/buildkitd.toml")
                    .out;
  everything +=
      run_shell("cat " + dir() + "/run/*.json " + dir() + "/buildwarden.yaml; cat $(find " + dir() + "/state -type f)")
          .out;
  for (const auto* secret : {kJobKey, kJobSecret, kJobToken, kPullSecret, "pull-secret-of-the-host"}) {
    EXPECT_EQ(everything.find(secret), std::string::npos) << secret;
  }
  EXPECT_NE(everything.find("cache-bucket"), std::string::npos) << "it was looked at";
  EXPECT_EQ(job("buildwarden job end --id 1").exit_code, 0);
}

// BuildKit's history has a build's attributes (with a real S3 cache its keys; here, any) until the lease is over.
TEST_F(JobSecrets, WhatABuildWasGivenIsForgottenWithTheLease) {
  start();
  const auto built =
      job("eval \"$(buildwarden job start --id 1 --use s3)\"\n"
          "docker build --build-arg MARK=word-of-the-job \"$CONTEXT\"");
  ASSERT_EQ(built.exit_code, 0) << built.out;
  const auto remembered = [this] {
    return engine_shell("docker exec buildwarden_s3 buildctl debug histories --format '{{json .}}'").out;
  };
  EXPECT_NE(remembered().find("word-of-the-job"), std::string::npos) << remembered();
  EXPECT_EQ(job("buildwarden job end --id 1").exit_code, 0);
  EXPECT_TRUE(eventually([&] { return remembered().empty(); })) << remembered();
  EXPECT_EQ(events("builder.history_kept"), "");
}

}  // namespace
}  // namespace buildwarden::testing
