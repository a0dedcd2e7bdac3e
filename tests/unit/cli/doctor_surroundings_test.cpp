// What a builder is surrounded by, and the logins that the engine's pulls need.
#include <gmock/gmock.h>

#include "tests/unit/cli/doctor_fixture.h"

namespace buildwarden::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class DoctorSurroundings : public DoctorTest {
 protected:
  DoctorSurroundings() {
    scene_.env = [this](const std::string& name) { return name == "PATH" ? folder() + "/bin" : std::string(); };
    ::mkdir((folder() + "/bin").c_str(), 0755);
  }
  void put(const std::string& name) const {
    const auto path = folder() + "/bin/" + name;
    std::ofstream(path) << "#!/bin/sh\n";
    ::chmod(path.c_str(), 0755);
  }
  void configure_docker(std::string_view text) {
    scene_.settings.engine.docker_config = folder();
    std::ofstream(config()) << text;
  }
  [[nodiscard]] std::string config() const { return folder() + "/config.json"; }
  void engine_says(const std::string& more) {
    say(engine_, "/info", R"({"ServerVersion":"26.1","DockerRootDir":"/d",)" + more + "}");
  }
};

TEST_F(DoctorSurroundings, AHelperThatIsNamedAndMissing) {
  EXPECT_EQ(complaints(cli::check_logins(scene_)), "") << "without a docker_config";
  configure_docker(R"({"auths":{"a.b":{}}})");
  EXPECT_EQ(complaints(cli::check_logins(scene_)), "");
  configure_docker(
      R"({"credHelpers":{"1.dkr.ecr.eu-west-1.amazonaws.com":"ecr-login","2.dkr.ecr.x":"ecr-login","p.q":""},
                       "credsStore":"pass"})");
  put("docker-credential-pass");
  EXPECT_EQ(
      complaints(cli::check_logins(scene_)),
      "error: engine.docker_config names docker-credential-ecr-login for 1.dkr.ecr.eu-west-1.amazonaws.com, "
      "2.dkr.ecr.x, and there is none: those images are pulled without a login [install it (Debian, Amazon Linux: "
      "amazon-ecr-credential-helper)]\n");
  put("docker-credential-ecr-login");
  EXPECT_EQ(complaints(cli::check_logins(scene_)), "");
}

TEST_F(DoctorSurroundings, ADockerConfigThatCannotCount) {
  configure_docker(R"({"credsStore":"pass"})");
  put("docker-credential-pass");
  ::chmod(config().c_str(), 0666);
  EXPECT_THAT(complaints(cli::check_logins(scene_)),
              AllOf(HasSubstr("warning: docker-credential-pass is not asked: "), HasSubstr("[chown root:root ")));
  std::ofstream(config()) << "{";
  EXPECT_THAT(complaints(cli::check_logins(scene_)), HasSubstr("is not JSON: each pull fails"));
  ::unlink(config().c_str());
  EXPECT_THAT(complaints(cli::check_logins(scene_)), HasSubstr("warning: there are no logins for pulls: "));
}

TEST_F(DoctorSurroundings, TheEnginesProxies) {
  const ScriptedDaemon buildkit(builder_socket(), [](const SeenRequest&) { return std::string(kSettingsFrame); });
  engine_says(R"("HttpProxy":"http://xxxxx:xxxxx@p:3128","HttpsProxy":"","NoProxy":"")");
  EXPECT_THAT(complaints(cli::check_builders(scene_)),
              AllOf(HasSubstr("warning: s3: the engine's proxy has a login"), HasSubstr("[set builders[].env")));
  engine_says(R"("HttpProxy":"http://p:3128","HttpsProxy":"http://p:3129","NoProxy":"")");
  EXPECT_THAT(complaints(cli::check_builders(scene_)), HasSubstr("s3: it does not go through the engine's proxy yet"));
  say(engine_, "/containers/buildwarden_s3/json",
      R"({"State":{"Running":true,"Pid":0},"HostConfig":{},"Config":{"Env":["HTTPS_PROXY=http://p:3129"]}})");
  EXPECT_EQ(complaints(cli::check_builders(scene_)), "");
  engine_says(R"("HttpProxy":"http://xxxxx:xxxxx@p:3128")");
  scene_.settings.builders[0].env = {{"http_proxy", ""}};
  EXPECT_EQ(complaints(cli::check_builders(scene_)), "") << "the operator chose";
}

TEST_F(DoctorSurroundings, TheRuntimeOfItsContainers) {
  const ScriptedDaemon buildkit(builder_socket(), [](const SeenRequest&) { return std::string(kSettingsFrame); });
  engine_says(R"("DefaultRuntime":"runsc","Runtimes":{"runc":{},"runsc":{}})");
  EXPECT_THAT(complaints(cli::check_builders(scene_)), AllOf(HasSubstr("warning: s3: its containers run in runsc"),
                                                             HasSubstr("[set builders[].runtime: runc]")));
  scene_.settings.builders[0].runtime = "runc";
  EXPECT_EQ(complaints(cli::check_builders(scene_)), "");
  scene_.settings.builders[0].runtime = "crun";
  EXPECT_THAT(complaints(cli::check_builders(scene_)), HasSubstr("error: s3: the engine has no runtime crun"));
}

TEST_F(DoctorSurroundings, ABuildxThatCannotLoad) {
  put("docker");
  put("docker-buildx");
  scene_.plugin_folders = {folder() + "/bin"};
  scene_.version = [](const std::string&) { return std::string("github.com/docker/buildx 0.13.1+ds1 0.13.1+ds1-3\n"); };
  EXPECT_EQ(complaints(cli::check_tools(scene_)), "") << "nobody wants it";
  scene_.settings.jobs.default_load = true;
  EXPECT_THAT(complaints(cli::check_tools(scene_)),
              AllOf(HasSubstr("error: jobs.default_load is set, which buildx 0.13 does not know"),
                    HasSubstr("[install buildx 0.14 or newer")));
  scene_.version = [](const std::string&) { return std::string("github.com/docker/buildx v0.29.1 a32761a\n"); };
  EXPECT_EQ(complaints(cli::check_tools(scene_)), "");
}

}  // namespace
}  // namespace buildwarden::testing
