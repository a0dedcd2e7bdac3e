#include <gmock/gmock.h>

#include "tests/unit/cli/doctor_fixture.h"

namespace buildwarden::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using Doctor = DoctorTest;

TEST_F(Doctor, ConfigurationTellsHowManyMistakesAndTheFirst) {
  scene_.config.yaml_path = folder() + "/c.yaml";
  const auto beyond = format(
      "paths: {{ cfn_env: {0}/no, agent_env: {0}/no, daemon_json: {0}/no, docker_binfmt_env: {0}/no }}\n", folder());
  std::ofstream(scene_.config.yaml_path) << beyond;
  EXPECT_EQ(complaints(cli::check_configuration(scene_)), "");
  std::ofstream(scene_.config.yaml_path) << beyond << "disk: { min_free: 5 apples }\nbuilder: []\n";
  EXPECT_THAT(complaints(cli::check_configuration(scene_)),
              AllOf(HasSubstr("/c.yaml has 2 mistakes, the first: "), HasSubstr("disk.min_free"),
                    HasSubstr("[buildwarden config check")));
}

// Issue 20: "85 values are valid" of a file that was not there.
TEST_F(Doctor, SaysWhichFileIsReadAndCallsNothingValidThatIsAbsent) {
  const auto absent = texts(cli::check_configuration(scene_));
  EXPECT_THAT(absent, AllOf(HasSubstr("/none.yaml, which is not there: "), ::testing::Not(HasSubstr("valid"))));
  scene_.config.yaml_path = folder() + "/c.yaml";
  std::ofstream(scene_.config.yaml_path) << "disk: { min_free: 1GiB }\ndry_run: true\n";
  scene_.daemon_file = scene_.config.yaml_path;
  EXPECT_THAT(texts(cli::check_configuration(scene_)),
              HasSubstr("the daemon reads " + folder() + "/c.yaml, which is valid: 2 of "));
  scene_.daemon_file = "/other.yaml";
  EXPECT_THAT(complaints(cli::check_configuration(scene_)), HasSubstr("reads /other.yaml, and not " + folder()));
}

// A daemon on a socket of its own, whose builders and paths are not those of the usual file.
TEST_F(Doctor, LooksAtWhatTheRunningDaemonReads) {
  ClientWorld world;
  world.silence = kPatient;
  const auto yaml = world.folder() + "/own.yaml";
  std::ofstream(yaml) << "builders: [ { name: other } ]\npaths: { run: " << world.folder() << "/run }\n";
  const ScriptedDaemon daemon(world.socket(), [&](const SeenRequest& request) {
    if (request.line().find("/v1/status") != std::string::npos) {
      return http_answer(200,
                         R"({"version":")" BUILDWARDEN_VERSION R"(","ready":true,"config":{"file":")" + yaml + "\"}}");
    }
    if (request.line().find("/v1/config") != std::string::npos) {
      return http_answer(200, R"({"settings":[{"key":"dry_run","value":"true","source":"command-line"},)"
                              R"({"key":"disk.ballast","value":"7GiB","source":"default"}]})");
    }
    if (request.line().find("/v1/builders") != std::string::npos) {
      return http_answer(200, R"({"builders":[{"name":"other","state":"warm","reason":"it answers"}]})");
    }
    return http_answer(404, "{}");
  });
  cli::Context context;
  context.socket = world.socket();
  context.env = [](const std::string&) { return std::string(); };
  config::LoadRequest usual;
  usual.yaml_path = world.folder() + "/usual.yaml";
  const auto scene = cli::look_around(context, usual);
  EXPECT_EQ(scene.config.yaml_path, yaml);
  const auto loaded = config::load(scene.config);
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(scene.settings.builders.at(0).name, "other");
  EXPECT_TRUE(scene.settings.dry_run) << "by the daemon's command line";
  EXPECT_EQ(scene.settings.disk.ballast.absolute(), kGiB) << "what is not of its command line is its file's";
  EXPECT_THAT(texts(cli::check_builders(scene)), AllOf(HasSubstr("other is warm"), ::testing::Not(HasSubstr("s3"))));
  usual.yaml_required = true;
  std::ofstream(usual.yaml_path) << "dry_run: false\n";
  EXPECT_EQ(cli::look_around(context, usual).config.yaml_path, usual.yaml_path) << "what is asked for counts";
}

TEST_F(Doctor, DaemonInOrder) { EXPECT_EQ(complaints(cli::check_daemon(scene_)), ""); }

TEST_F(Doctor, AnAbsentDaemonIsAnErrorOnce) {
  daemon_.clear();
  EXPECT_THAT(complaints(cli::check_daemon(scene_)),
              AllOf(HasSubstr("error: it does not answer on"), HasSubstr("systemctl start buildwarden")));
  EXPECT_THAT(complaints(cli::check_space(scene_)), HasSubstr("warning: "));
}

TEST_F(Doctor, DaemonOfAnotherVersionThatIsNotReady) {
  say(daemon_, "/v1/status",
      R"({"version":"0.0.1","dry_run":true,"not_ready":[{"part":"engine","reason":"nobody listens"}],)"
      R"("config":{"restart_needed":["listen.tcp"]}})");
  const auto said = complaints(cli::check_daemon(scene_));
  EXPECT_THAT(said, HasSubstr("warning: version 0.0.1 runs, version " BUILDWARDEN_VERSION " is installed"));
  EXPECT_THAT(said, HasSubstr("warning: it only says what it would do"));
  EXPECT_THAT(said, HasSubstr("warning: a changed value waits for a restart: listen.tcp"));
  EXPECT_THAT(said, HasSubstr("error: engine is not ready: nobody listens"));
}

TEST_F(Doctor, DiskLevels) {
  EXPECT_EQ(complaints(cli::check_space(scene_)), "");
  say(daemon_, "/v1/disk",
      R"({"filesystems":[{"mount":"/a","level":"low","free_bytes":1024,"total_bytes":4096},)"
      R"({"mount":"/b","level":"critical","free_bytes":1,"total_bytes":4096},)"
      R"({"mount":"/c","level":"unknown","error":"statfs: timed out"}]})");
  const auto said = complaints(cli::check_space(scene_));
  EXPECT_THAT(said, HasSubstr("warning: /a is low: 1 KiB of 4 KiB free"));
  EXPECT_THAT(said, HasSubstr("error: /b is critical"));
  EXPECT_THAT(said, AllOf(HasSubstr("error: /c is unknown"), HasSubstr("statfs: timed out")));
  scene_.settings.disk.watch = {{folder(), true}, {folder() + "/gone", true}};
  EXPECT_THAT(complaints(cli::check_space(scene_)), HasSubstr("/gone, which disk.watch names, is not there"));
}

TEST_F(Doctor, FoldersInWhichNothingIsDeleted) {
  say(daemon_, "/v1/disk",
      R"({"filesystems":[],"refused_roots":[{"path":"/b","setting":"paths.builds","reason":"why"}]})");
  EXPECT_THAT(complaints(cli::check_space(scene_)),
              HasSubstr("nothing is deleted in /b (paths.builds): why [do as it"));
}

TEST_F(Doctor, EngineAndItsRemapping) {
  EXPECT_EQ(complaints(cli::check_engine(scene_)), "");
  scene_.settings.engine.userns_remap = true;
  EXPECT_THAT(complaints(cli::check_engine(scene_)), HasSubstr("warning: DOCKER_USERNS_REMAP asks"));
  engine_.clear();
  EXPECT_THAT(complaints(cli::check_engine(scene_)), HasSubstr("error: it does not answer on /var/run/docker.sock"));
}

TEST_F(Doctor, PatternsOfKeepThatMatchNothing) {
  EXPECT_EQ(complaints(cli::check_keep(scene_)), "");
  scene_.settings.disk.keep = {
      "docker.io/library/idle", "8b9f", "r:5000/team/*", "buildx_buildkit_mine*", "data", "idel", "docker.io/idle:2"};
  EXPECT_THAT(complaints(cli::check_keep(scene_)), HasSubstr("the engine does not answer"));
  say(engine_, "/images/json",
      R"([{"Id":"sha256:8b9fe6","RepoTags":["idle:1"],"RepoDigests":["<none>@<none>"]},)"
      R"({"Id":"sha256:1","RepoTags":null,"RepoDigests":["r:5000/team/tool@sha256:74e7"]}])");
  say(engine_, "/containers/json?all=1", R"([{"Names":["/buildx_buildkit_mine0"]}])");
  say(engine_, "/volumes", R"({"Volumes":[{"Name":"data"}]})");
  const auto said = complaints(cli::check_keep(scene_));
  EXPECT_THAT(said, HasSubstr("warning: the pattern idel of disk.keep matches no image"));
  EXPECT_THAT(said, HasSubstr("warning: the pattern docker.io/idle:2 of disk.keep matches no image"));
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 2);
}

TEST_F(Doctor, AddressPoolsAreCounted) {
  const auto networks = [this](int many) {
    std::string all;
    for (int i = 0; i < many; ++i) {
      const auto subnet = i < 15 ? format("172.{}.0.0/16", 17 + i) : format("192.168.{}.0/20", 16 * (i - 15));
      all += format(R"({}{{"Name":"n{}","IPAM":{{"Config":[{{"Subnet":"{}"}}]}}}})", i == 0 ? "" : ",", i, subnet);
    }
    say(engine_, "/networks", "[" + all + "]");
  };
  networks(3);
  EXPECT_EQ(complaints(cli::check_engine(scene_)), "");
  EXPECT_THAT(texts(cli::check_engine(scene_)), HasSubstr("3 of 31 address pools for networks are used"));
  networks(28);
  EXPECT_THAT(complaints(cli::check_engine(scene_)),
              HasSubstr("warning: 28 of 31 address pools for networks are used: 3"));
  networks(31);
  EXPECT_THAT(complaints(cli::check_engine(scene_)), HasSubstr("error: 31 of 31 address pools"));
  say(engine_, "/info",
      R"({"ServerVersion":"26.1","DockerRootDir":"/d","DefaultAddressPools":[{"Base":"172.16.0.0/12","Size":24}]})");
  EXPECT_EQ(complaints(cli::check_engine(scene_)).find("address pools"), std::string::npos);
}

TEST_F(Doctor, VolumesOfWhichNobodyKnowsWhetherTheyAreNamed) {
  const std::string name(64, 'a');
  say(engine_, "/volumes?filters=%7B%22dangling%22%3A%5B%22true%22%5D%7D",
      R"({"Volumes":[{"Name":")" + name + R"(","Labels":null},{"Name":"cache","Labels":null},{"Name":")" + name +
          R"(","Labels":{"com.docker.volume.anonymous":""}}]})");
  EXPECT_THAT(complaints(cli::check_engine(scene_)), HasSubstr("warning: 1 unused volumes have a name of 64 digits"));
}

TEST_F(Doctor, WhereTheImagesLie) {
  say(daemon_, "/v1/disk",
      R"({"filesystems":[{"mount":"/","level":"ok"}],"image_store":{"folders":["/mnt/c"],"unknown":null}})");
  EXPECT_THAT(texts(cli::check_space(scene_)), HasSubstr("the engine's images lie in /mnt/c"));
  say(daemon_, "/v1/disk",
      R"({"filesystems":[{"mount":"/","level":"ok"}],"image_store":{"folders":[],"unknown":"nobody answers"}})");
  EXPECT_THAT(complaints(cli::check_space(scene_)),
              HasSubstr("where is not known, so none is deleted: nobody answers"));
}

TEST_F(Doctor, BuildxMustBeWhereAnEmptyDockerConfigFindsIt) {
  scene_.env = [this](const std::string& name) { return name == "PATH" ? folder() : std::string(); };
  std::ofstream(folder() + "/docker") << "#!/bin/sh\n";
  ::chmod((folder() + "/docker").c_str(), 0755);
  scene_.plugin_folders = {folder() + "/first", folder() + "/second"};
  scene_.own_plugins = folder() + "/own";
  EXPECT_THAT(complaints(cli::check_tools(scene_)), HasSubstr("error: buildx is in none of the folders"));
  put_program("own", 0755);
  EXPECT_THAT(complaints(cli::check_tools(scene_)),
              AllOf(HasSubstr("error: buildx is only at " + folder() + "/own"),
                    HasSubstr(format("[install -D -m 755 {0}/own/docker-buildx {0}/first/docker-buildx]", folder()))));
  put_program("second", 0644);
  EXPECT_THAT(complaints(cli::check_tools(scene_)),
              HasSubstr("error: " + folder() + "/second/docker-buildx cannot be run"));
  put_program("second", 0755);
  EXPECT_EQ(complaints(cli::check_tools(scene_)), "");
  scene_.env = [](const std::string&) { return std::string("/nonexistent"); };
  EXPECT_THAT(complaints(cli::check_tools(scene_)), HasSubstr("error: there is no docker in /nonexistent"));
}

TEST_F(Doctor, TheAgentMustExistAndOpenTheSocket) {
  EXPECT_THAT(complaints(cli::check_agent(scene_)), HasSubstr("error: "));
  const ScriptedDaemon listener(scene_.socket, [](const SeenRequest&) { return std::string("x"); });
  EXPECT_EQ(complaints(cli::check_agent(scene_)), "");
  scene_.agent = cli::find_account("nobody-of-that-name");
  EXPECT_THAT(complaints(cli::check_agent(scene_)), HasSubstr("error: this machine has no user"));
}

TEST_F(Doctor, AnotherUserIsReallyAnother) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root becomes somebody else";
  ::chmod(folder().c_str(), 0755);
  const ScriptedDaemon listener(scene_.socket, [](const SeenRequest&) { return std::string("x"); });
  ::chmod(scene_.socket.c_str(), 0660);
  scene_.agent = cli::find_account("2000");
  EXPECT_THAT(complaints(cli::check_agent(scene_)),
              AllOf(HasSubstr("error: 2000 may not open"), HasSubstr("listen.group")));
  EXPECT_EQ(::chown(scene_.socket.c_str(), 0, 2000), 0);
  EXPECT_EQ(complaints(cli::check_agent(scene_)), "");
}

TEST_F(Doctor, WhoIsNotRootSaysWhatWasNotTried) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root becomes somebody else";
  ::chmod(folder().c_str(), 0755);
  const auto nobody = cli::find_account("65534");
  const auto other = cli::find_account("2000");
  const auto look = [&]() -> Result<std::string> {
    return cli::run_as(*other, [] { return std::string("became"); }, std::chrono::seconds{5});
  };
  const auto asked = cli::run_as(*nobody, look, std::chrono::seconds{5});
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code(), Errc::kDenied);
  EXPECT_EQ(asked.error().message(), "only root can look as 2000");
}

TEST_F(Doctor, AProcessThatDoesNotAnswerIsGivenUp) {
  const auto asked = cli::run_apart(
      []() -> Result<std::string> {
        ::pause();
        return std::string();
      },
      std::chrono::milliseconds{50});
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code(), Errc::kTimeout);
}

TEST_F(Doctor, BuildersInOrder) {
  const ScriptedDaemon buildkit(builder_socket(), [](const SeenRequest&) { return std::string(kSettingsFrame); });
  EXPECT_EQ(complaints(cli::check_builders(scene_)), "");
}

TEST_F(Doctor, BuildersThatAreNot) {
  say(daemon_, "/v1/builders", R"({"builders":[{"name":"s3","state":"down","reason":"it crashed"}]})");
  engine_.erase("/images/moby/buildkit:buildx-stable-1/json");
  engine_.erase("/containers/buildwarden_s3/json");
  say(engine_, "/containers/buildx_buildkit_s30/json", R"({"State":{"Running":false}})");
  const ScriptedDaemon other(builder_socket(), [](const SeenRequest&) { return std::string("HTTP/1.1 400\r\n\r\n"); });
  const auto said = complaints(cli::check_builders(scene_));
  EXPECT_THAT(said, AllOf(HasSubstr("warning: s3: its image"), HasSubstr("docker pull moby/buildkit:buildx-stable-1")));
  EXPECT_THAT(said, HasSubstr("error: s3 is down: it crashed"));
  EXPECT_THAT(said, HasSubstr("error: s3: its container buildwarden_s3 is missing"));
  EXPECT_THAT(said, HasSubstr("warning: s3: buildx_buildkit_s30 does not run"));
  EXPECT_THAT(said, AllOf(HasSubstr("does not get through"), HasSubstr("does not speak HTTP/2")));
}

TEST_F(Doctor, ABuilderUnderRemappingMustBeInTheHostsNamespace) {
  const ScriptedDaemon buildkit(builder_socket(), [](const SeenRequest&) { return std::string(kSettingsFrame); });
  say(engine_, "/info", R"({"SecurityOptions":["name=userns"]})");
  EXPECT_THAT(complaints(cli::check_builders(scene_)),
              AllOf(HasSubstr("error: s3: the engine remaps users"), HasSubstr("[buildwarden builders recreate s3]")));
  say(engine_, "/containers/buildwarden_s3/json", R"({"State":{"Running":true},"HostConfig":{"UsernsMode":"host"}})");
  EXPECT_EQ(complaints(cli::check_builders(scene_)), "");
}

// The exit code: warnings alone are no failure.
TEST_F(Doctor, ReportsForPeopleAndForPrograms) {
  std::string out;
  cli::Context context;
  context.out = [&out](std::string_view text) { out += text; };
  const cli::Check mild{"mild",
                        [](const cli::Scene&) { return cli::Findings{cli::fine("good"), cli::warning("odd", "x")}; }};
  const cli::Check bad{"bad", [](const cli::Scene&) { return cli::Findings{cli::error("broken", "mend it")}; }};
  const std::array both{mild, bad};
  EXPECT_EQ(cli::report_findings(context, scene_, std::span(both).first(1)), cli::kYes);
  out.clear();
  EXPECT_EQ(cli::report_findings(context, scene_, both), cli::kNo);
  EXPECT_EQ(out,
            "ok       mild: good\nwarning  mild: odd\n         fix: x\nerror    bad: broken\n         fix: mend it\n"
            "1 in order, 1 to look at, 1 wrong\nfirst (bad): mend it\n");
  out.clear();
  context.json = true;
  EXPECT_EQ(cli::report_findings(context, scene_, both), cli::kNo);
  const auto document = boost::json::parse(out).as_object();
  EXPECT_EQ(document.at("errors"), 1);
  EXPECT_EQ(document.at("warnings"), 1);
  EXPECT_EQ(document.at("findings").as_array().size(), 3U);
  EXPECT_EQ(document.at("findings").as_array()[2].at("fix"), "mend it");
  EXPECT_EQ(document.at("first").at("check"), "bad");
  context.json = false;
  out.clear();
  EXPECT_EQ(cli::report_findings(context, scene_, std::span(both).first(1)), cli::kYes);
  EXPECT_THAT(out, ::testing::EndsWith("\nfirst (mild): x\n"));
  const std::array good{cli::Check{"fine", [](const cli::Scene&) { return cli::Findings{cli::fine("good")}; }}};
  out.clear();
  cli::report_findings(context, scene_, good);
  EXPECT_THAT(out, ::testing::EndsWith("1 in order, 0 to look at, 0 wrong\n"));
}

TEST_F(Doctor, WhatComesOfTheEngineIsNotTheFirstThingToDo) {
  say(daemon_, "/v1/status",
      R"({"not_ready":[{"part":"engine","reason":"nobody listens"},{"part":"builder s3","reason":"no engine"}]})");
  engine_.clear();
  std::string out;
  cli::Context context;
  context.out = [&out](std::string_view text) { out += text; };
  const std::array checks{cli::Check{"daemon", cli::check_daemon}, cli::Check{"engine", cli::check_engine}};
  EXPECT_EQ(cli::report_findings(context, scene_, checks), cli::kNo);
  EXPECT_THAT(out, HasSubstr("\nfirst (engine): systemctl start docker; "));
}

TEST_F(Doctor, TheCommandGoesOnWithoutADaemon) {
  ClientWorld world;
  const auto yaml = world.folder() + "/c.yaml";
  std::ofstream(yaml) << "engine: { socket: " << world.folder() << "/docker.sock }\n";
  const auto run = world.run({"doctor", "--config", yaml});
  EXPECT_EQ(run.code, cli::kNo);
  for (const std::string check :
       {"configuration:", "daemon:", "disk:", "engine:", "tools:", "agent:", "builders:", "cache:"}) {
    EXPECT_THAT(run.out, HasSubstr(check));
  }
}

}  // namespace
}  // namespace buildwarden::testing
