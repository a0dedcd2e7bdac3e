// What the check measures by itself, and by which files and variables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/atomic_file.h"
#include "daemon/cli/commands.h"
#include "tests/unit/cli/scripted_daemon.h"

namespace buildwarden::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// A machine whose files lie in the test's folder; its YAML may be as wrong as it likes, since it does not say where.
class DiskCheckHere : public ::testing::Test {
 protected:
  DiskCheckHere() {
    for (const auto* key : {"daemon_json", "cfn_env", "agent_env", "docker_binfmt_env", "docker_drop_ins"}) {
      request_.overrides[std::string("paths.") + key] = file(key);
    }
    request_.yaml_path = file("buildwarden.yaml");
    write("buildwarden.yaml", "disk: { reclaim_below: 98%, reclaim_to: 99% }\n");
    ::mkdir(file("data").c_str(), 0755);
    write("daemon_json", R"({"data-root":")" + file("data") + R"("})");
    write("agent_env", "DISK_MIN_AVAILABLE=1\nDISK_MIN_INODES=1\n");
  }
  [[nodiscard]] std::string file(const std::string& name) const { return folder_.path() + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    ASSERT_TRUE(write_file_atomically(file(name), text));
  }
  // In KiB, more than is free by half of what there is.
  [[nodiscard]] std::string more_than_free() const {
    struct statvfs info{};
    EXPECT_EQ(::statvfs(folder_.path().c_str(), &info), 0);
    return format("{}", info.f_frsize * (info.f_bavail + info.f_blocks / 2) / 1024 + 1);
  }
  ClientRun check(cli::CheckOptions options = {.here = true}) {
    ClientRun run;
    cli::Context context;
    context.out = [&run](std::string_view text) { run.out += text; };
    context.err = [&run](std::string_view text) { run.err += text; };
    context.env = [this](const std::string& name) { return environment_[name]; };
    context.silence = kPatient;
    context.socket = file("api.sock");
    run.code = cli::check_disk(context, options, request_);
    return run;
  }

  TempFolder folder_;
  config::LoadRequest request_;
  std::map<std::string, std::string> environment_;
};

struct BadYaml {
  std::string name;
  std::string text;  // "" = a folder stands in its place, which nobody can read
  std::string said;
};
class DiskCheckWithBadYaml : public DiskCheckHere, public ::testing::WithParamInterface<BadYaml> {
 protected:
  void SetUp() override {
    if (!GetParam().text.empty()) return write("buildwarden.yaml", GetParam().text);
    ::unlink(file("buildwarden.yaml").c_str());
    ::mkdir(file("buildwarden.yaml").c_str(), 0755);
  }
};

// Issue 16, number 2: a typo threw daemon.json, cfn-env and the agent's env file away with the YAML: /var/lib/docker
// was measured by a mark of 5 GiB, or, where there is no such folder, all jobs were refused.
TEST_P(DiskCheckWithBadYaml, ItAloneIsLeftOutAndSaid) {
  const auto enough = check();
  EXPECT_EQ(enough.code, cli::kYes) << enough.err;
  EXPECT_THAT(enough.out, AllOf(StartsWith("ok: " + file("data")), HasSubstr("at least 1 KiB wanted")));
  EXPECT_THAT(enough.err, AllOf(HasSubstr("does not count, but for what other files say"), HasSubstr(GetParam().said)));
  write("agent_env", "DISK_MIN_AVAILABLE=" + more_than_free() + "\n");
  const auto low = check();
  EXPECT_EQ(low.code, cli::kNo) << low.err;
  EXPECT_THAT(low.out, StartsWith("low: " + file("data")));
}

TEST_P(DiskCheckWithBadYaml, WhatCannotBeMeasuredAdmits) {
  write("daemon_json", R"({"data-root":"/nonexistent/root"})");
  for (const bool stack : {false, true}) {
    const auto run = check({.here = true, .stack_lines = stack});
    EXPECT_EQ(run.code, cli::kYes);
    EXPECT_THAT(run.out, IsEmpty());
    EXPECT_THAT(run.err, AllOf(HasSubstr("unknown: "), HasSubstr("/nonexistent/root"), HasSubstr(GetParam().said)));
  }
}

// What CloudFormation allows stands in cfn-env, whatever the YAML looks like.
TEST_P(DiskCheckWithBadYaml, TheParametersOfTheStackCount) {
  write("cfn_env", "set_always \"BUILDKITE_PURGE_BUILDS_ON_DISK_FULL\" \"true\"\n");
  const ScriptedDaemon daemon(file("api.sock"), [](const SeenRequest& request) {
    if (request.line().starts_with("POST")) return http_answer(200, R"({"reason":"short","images_failed":null})");
    return http_answer(200, R"({"filesystems":[{"mount":"/nowhere","level":"critical","gate":true,"free_bytes":1,)"
                            R"("total_bytes":9,"marks":{"critical_bytes":5}}]})");
  });
  const auto low = check({.stack_lines = true});
  EXPECT_EQ(low.code, cli::kNo);
  EXPECT_THAT(low.err, AllOf(HasSubstr("after all that may go was deleted"), HasSubstr(GetParam().said)));
}

INSTANTIATE_TEST_SUITE_P(DiskCheck, DiskCheckWithBadYaml,
                         ::testing::Values(BadYaml{"typo", "disk: { min_fre: 5GiB }\n", "did you mean min_free"},
                                           BadYaml{"no_yaml", "disk: {\n", "buildwarden.yaml"},
                                           BadYaml{"unreadable", "", "buildwarden.yaml"}),
                         [](const auto& bad) { return bad.param.name; });

// The agent has its env file's variables from systemd; the file may be root's alone.
TEST_F(DiskCheckHere, TheHooksOwnMarksCountWhereTheEnvFileDoesNotSayThem) {
  environment_["DISK_MIN_AVAILABLE"] = more_than_free();
  EXPECT_EQ(check().code, cli::kYes) << "the file says otherwise";
  ::unlink(file("agent_env").c_str());
  const auto low = check();
  EXPECT_EQ(low.code, cli::kNo);
  EXPECT_THAT(low.out, StartsWith("low: " + file("data")));
  ::mkdir(file("agent_env").c_str(), 0755);
  EXPECT_EQ(check().code, cli::kNo) << "a file that cannot be read";
  struct statvfs info{};
  ASSERT_EQ(::statvfs(folder_.path().c_str(), &info), 0);
  const auto inodes = format("{}", info.f_favail + (info.f_files - info.f_favail) / 2 + 1);
  environment_ = {{"DISK_MIN_AVAILABLE", "1"}, {"DISK_MIN_INODES", inodes}};
  EXPECT_THAT(check({.here = true, .stack_lines = true}).err, HasSubstr("cutoff is " + inodes));
  environment_["DISK_MIN_INODES"] = "";
  environment_["BUILDKITE_PURGE_BUILDS_ON_DISK_FULL"] = "true";
  EXPECT_THAT(check().out, HasSubstr("at least 250000 wanted")) << "set and empty, as the stack's script has it";
  write("buildwarden.yaml", "disk: { min_free: 2KiB, min_free_inodes: 3, reclaim_below: 98%, reclaim_to: 99% }\n");
  EXPECT_THAT(check().out, AllOf(HasSubstr("at least 2 KiB wanted"), HasSubstr("at least 3 wanted")));
}

// The stack's hourly service has no EnvironmentFile, and marks the instance unhealthy when the check says no.
TEST_F(DiskCheckHere, InTheStacksPlaceTheEnvFilesMarksCountOnlyThroughTheEnvironment) {
  write("agent_env", "DISK_MIN_AVAILABLE=" + more_than_free() + "\nDOCKER_PRUNE_UNTIL=1h\n");
  const cli::CheckOptions hourly{.here = true, .stack_lines = true};
  environment_ = {{"DISK_MIN_AVAILABLE", "1"}, {"DISK_MIN_INODES", "1"}};
  EXPECT_EQ(check(hourly).code, cli::kYes);
  EXPECT_EQ(check().code, cli::kNo) << "an operator's own question is answered by what the file says";
  environment_["DISK_MIN_AVAILABLE"] = more_than_free();
  EXPECT_EQ(check(hourly).code, cli::kNo);
}

TEST_F(DiskCheckHere, ADataRootThatIsNoneIsSaid) {
  for (const std::string root : {"var/lib/docker", "/var/../lib", "/var/a\\nb"}) {
    write("daemon_json", R"({"data-root":")" + root + R"("})");
    EXPECT_THAT(check().err, AllOf(HasSubstr("daemon_json:1: engine.data_root"), HasSubstr("not an absolute path")))
        << root;
  }
}

// A daemon that says no and cannot reach the engine has not done what the stack's own lines would do.
TEST_F(DiskCheckHere, ADaemonThatCouldDeleteNoImagesDoesNotDecide) {
  std::string failed = R"("the engine cannot be reached: it is closed")";
  const ScriptedDaemon daemon(file("api.sock"), [&failed](const SeenRequest& request) {
    if (request.line().starts_with("POST")) return http_answer(200, R"({"reason":"r","images_failed":)" + failed + "}");
    return http_answer(200, R"({"filesystems":[{"mount":"/nowhere","level":"critical","gate":true,"free_bytes":1,)"
                            R"("total_bytes":9,"marks":{"critical_bytes":5}}]})");
  });
  const auto enough = check({.stack_lines = true});
  EXPECT_EQ(enough.code, cli::kYes) << "measured here there is enough";
  EXPECT_THAT(enough.out, Not(HasSubstr("No room was made")));
  environment_["DISK_MIN_AVAILABLE"] = more_than_free();
  const auto low = check({.stack_lines = true});
  EXPECT_EQ(low.code, cli::kNo);
  EXPECT_THAT(low.out, AllOf(StartsWith("Disk space free: "),
                             HasSubstr("\nNo room was made: it could delete no images: the engine cannot be reached")));
  EXPECT_THAT(check({.here = true, .stack_lines = true}).out, Not(HasSubstr("No room was made")));
  failed = "null";
  const auto refused = check({.stack_lines = true});
  EXPECT_EQ(refused.out, "Disk space free: 1\n") << "all that is allowed was done";
}

}  // namespace
}  // namespace buildwarden::testing
