#include "daemon/engine/encode.h"

#include <gtest/gtest.h>

#include <chrono>

namespace buildwarden::engine {
namespace {

using namespace std::chrono_literals;

TEST(ApiVersionTest, SpeaksTheNewestBothKnow) {
  EXPECT_EQ(choose_api_version("1.41")->text(), "1.41");
  EXPECT_EQ(choose_api_version("1.45")->text(), "1.45");
  EXPECT_EQ(choose_api_version("1.55")->text(), "1.55");
  EXPECT_EQ(choose_api_version("1.60")->text(), "1.55");
  EXPECT_EQ(choose_api_version("2.0")->text(), "1.55");
  EXPECT_EQ(choose_api_version("1.40").error().message(),
            "the engine's API 1.40 is older than 1.41, the oldest supported");
  for (const auto* text : {"", "1", "1.", ".4", "a.b", "1.45x", "1.-4", "1.99999999999999"}) {
    ASSERT_FALSE(choose_api_version(text)) << text;
    EXPECT_EQ(choose_api_version(text).error().code(), Errc::kProtocol) << text;
  }
}

TEST(EncodeName, KeepsReferencesAndEncodesTheRest) {
  EXPECT_EQ(*encode_name("r.example:5000/a/b:1.0"), "r.example:5000/a/b:1.0");
  EXPECT_EQ(*encode_name("a@sha256:12"), "a@sha256:12");
  EXPECT_EQ(*encode_name("x?force=1#y z%\xc3\xa9"), "x%3Fforce%3D1%23y%20z%25%C3%A9");
  for (const auto* name : {"", ".", "..", "a/../b", "a//b", "/a", "a/"}) {
    EXPECT_FALSE(encode_name(name)) << name;
  }
}

TEST(EncodeQuery, EncodesValues) {
  EXPECT_EQ(encode_query({}), "");
  EXPECT_EQ(encode_query({{"a", "1"}, {"b", "x&y=z/+ "}}), "?a=1&b=x%26y%3Dz%2F%2B%20");
}

TEST(PruneQuery, NamesTheRecordsInOnePattern) {
  const std::vector<std::string> ids = {"leaf", "base"};
  const Query both = {{"all", "1"}, {"filters", R"({"id":{"^(leaf|base)$":true},"until":{"240s":true}})"}};
  EXPECT_EQ(prune_query(ids, 240s), both);
}

TEST(PruneQuery, AnAgeIsRoundedUpAndZeroIsNone) {
  const std::vector<std::string> ids = {"x"};
  const Query all = {{"all", "1"}, {"filters", R"({"id":{"^(x)$":true}})"}};
  EXPECT_EQ(prune_query(ids, 0s), all);
  const Query rounded = {{"all", "1"}, {"filters", R"({"id":{"^(x)$":true},"until":{"2s":true}})"}};
  EXPECT_EQ(prune_query(ids, 1500ms), rounded) << "never younger than was asked for";
}

TEST(UsageQuery, AsksForTheCacheAlone) {
  EXPECT_EQ(encode_query(usage_query({1, 41})), "");
  EXPECT_EQ(encode_query(usage_query({1, 45})), "?type=build-cache");
  EXPECT_EQ(encode_query(usage_query({1, 52})), "?type=build-cache&verbose=1");
}

TEST(EncodeContainer, SaysEverythingOfABuilder) {
  ports::ContainerSpec spec;
  spec.name = "buildwarden_s3";
  spec.image = "moby/buildkit:x";
  spec.command = {"--config", "/etc/b.toml"};
  spec.labels = {{"com.buildwarden.owner", "buildwarden"}};
  spec.mounts = {{true, "buildwarden_s3", "/var/lib/buildkit", false}, {false, "/run/b", "/run/buildkit", true}};
  spec.privileged = true;
  spec.init = true;
  spec.host_userns = true;
  spec.restart_unless_stopped = true;
  spec.memory = 1024;
  spec.nano_cpus = 1'500'000'000;
  EXPECT_EQ(
      encode_container(spec),
      R"({"Image":"moby/buildkit:x","Cmd":["--config","/etc/b.toml"],"Labels":{"com.buildwarden.owner":"buildwarden"},)"
      R"("HostConfig":{"Mounts":[{"Type":"volume","Source":"buildwarden_s3","Target":"/var/lib/buildkit","ReadOnly":false},)"
      R"({"Type":"bind","Source":"/run/b","Target":"/run/buildkit","ReadOnly":true}],"Privileged":true,"Init":true,)"
      R"("ReadonlyRootfs":false,"UsernsMode":"host","RestartPolicy":{"Name":"unless-stopped"},"Memory":1024,)"
      R"("NanoCpus":1500000000}})");
}

TEST(EncodeContainer, SaysEverythingOfAFront) {
  ports::ContainerSpec spec;
  spec.image = "i";
  spec.entrypoint = {"/bin/sleep"};
  spec.read_only_root = true;
  spec.drop_all_capabilities = true;
  spec.network = "none";
  spec.stop_signal = "SIGKILL";
  EXPECT_EQ(encode_container(spec),
            R"({"Image":"i","Entrypoint":["/bin/sleep"],"Labels":{},"StopSignal":"SIGKILL","HostConfig":{"Mounts":[],)"
            R"("Privileged":false,"Init":false,"ReadonlyRootfs":true,"CapDrop":["ALL"],"NetworkMode":"none"}})");
}

TEST(EncodeExec, AttachesBothOutputs) {
  EXPECT_EQ(encode_exec({"buildctl", "debug", "workers"}),
            R"({"AttachStdout":true,"AttachStderr":true,"Tty":false,"Cmd":["buildctl","debug","workers"]})");
}

TEST(ImageNames, AreTakenApart) {
  struct Case {
    const char* reference;
    const char* registry;
    const char* repository;
    const char* tag;
  };
  const Case cases[] = {
      {"alpine", "docker.io", "alpine", "latest"},
      {"moby/buildkit:buildx-stable-1", "docker.io", "moby/buildkit", "buildx-stable-1"},
      {"docker.io/library/alpine:3", "docker.io", "docker.io/library/alpine", "3"},
      {"r.example:5000/a/b", "r.example:5000", "r.example:5000/a/b", "latest"},
      {"localhost/a:1", "localhost", "localhost/a", "1"},
      {"a@sha256:12", "docker.io", "a", "sha256:12"},
      {"r.example/a:1@sha256:12", "r.example", "r.example/a", "sha256:12"},
  };
  for (const auto& [reference, registry, repository, tag] : cases) {
    const auto name = parse_image_name(reference);
    ASSERT_TRUE(name) << reference;
    EXPECT_EQ(name->registry, registry) << reference;
    EXPECT_EQ(name->repository, repository) << reference;
    EXPECT_EQ(name->tag, tag) << reference;
  }
  EXPECT_FALSE(parse_image_name(""));
  EXPECT_FALSE(parse_image_name(":1"));
}

TEST(Base64, BothWays) {
  const std::pair<const char*, const char*> pairs[] = {{"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
                                                       {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xfe", "//4="}};
  for (const auto& [bytes, text] : pairs) {
    EXPECT_EQ(encode_base64(bytes, false), text);
    EXPECT_EQ(*decode_base64(text), bytes);
  }
  EXPECT_EQ(encode_base64("\xff\xfe", true), "__4=");
  EXPECT_EQ(*decode_base64("__4"), "\xff\xfe");
  EXPECT_FALSE(decode_base64("a b"));
}

std::string auth(std::string_view config, std::string_view registry) {
  const auto login = registry_login(config, registry);
  EXPECT_TRUE(login) << login.error().message();
  return login ? login->auth : "";
}

std::string helper(std::string_view config, std::string_view registry) {
  const auto login = registry_login(config, registry);
  EXPECT_TRUE(login) << login.error().message();
  return login ? login->helper : "";
}

TEST(RegistryLogin, FindsTheRegistrysEntry) {
  constexpr const char* kConfig = R"({"auths":{
    "https://index.docker.io/v1/":{"auth":"dTpw"},
    "r.example:5000":{"identitytoken":"tok"},
    "empty.example":{}}})";
  EXPECT_EQ(*decode_base64(auth(kConfig, "docker.io")),
            R"({"serveraddress":"https://index.docker.io/v1/","username":"u","password":"p"})");
  EXPECT_EQ(*decode_base64(auth(kConfig, "r.example:5000")),
            R"({"serveraddress":"r.example:5000","identitytoken":"tok"})");
  EXPECT_EQ(auth(kConfig, "empty.example"), "");
  EXPECT_EQ(auth(kConfig, "other.example"), "");
  EXPECT_EQ(auth("{}", "docker.io"), "");
  EXPECT_EQ(registry_login("oops", "docker.io").error().code(), Errc::kProtocol);
  EXPECT_EQ(registry_login(R"({"auths":7})", "docker.io").error().code(), Errc::kProtocol);
  EXPECT_EQ(registry_login(R"({"auths":{"a.b":{"auth":"%%"}}})", "a.b").error().code(), Errc::kProtocol);
}

// The order of docker's own client (cli/config/configfile: GetAuthConfig).
TEST(RegistryLogin, AHelperOfTheRegistryThenTheStoreThenTheFile) {
  constexpr const char* kConfig = R"({"auths":{"r.example":{"auth":"dTpw"},"plain.example":{"auth":"dTpw"}},
    "credHelpers":{"123.dkr.ecr.eu-west-1.amazonaws.com":"ecr-login","https://index.docker.io/v1/":"hub",
                   "plain.example":""},"credsStore":"desktop"})";
  EXPECT_EQ(helper(kConfig, "123.dkr.ecr.eu-west-1.amazonaws.com"), "ecr-login");
  EXPECT_EQ(helper(kConfig, "docker.io"), "hub");
  EXPECT_EQ(helper(kConfig, "r.example"), "desktop") << "the store beats the file";
  EXPECT_EQ(auth(kConfig, "r.example"), "");
  EXPECT_EQ(helper(kConfig, "plain.example"), "") << "an empty name switches helpers off";
  EXPECT_NE(auth(kConfig, "plain.example"), "");
  EXPECT_EQ(helper(R"({"credHelpers":{"a.b":"x"}})", "c.d"), "");
  EXPECT_EQ(helper_server("docker.io"), "https://index.docker.io/v1/");
  EXPECT_EQ(helper_server("r.example:5000"), "r.example:5000");
}

TEST(RegistryLogin, AHelpersNameIsNoPath) {
  for (const auto* name : {"../x", "a/b", "a b", "a;b"}) {
    const auto config = std::string(R"({"credsStore":")") + name + R"("})";
    EXPECT_EQ(registry_login(config, "a.b").error().code(), Errc::kProtocol) << name;
  }
  EXPECT_EQ(registry_login(R"({"credHelpers":{"a.b":7}})", "a.b").error().code(), Errc::kProtocol);
}

TEST(ContainerBody, HasWhatABuilderIsSurroundedBy) {
  ports::ContainerSpec spec;
  spec.image = "i";
  EXPECT_EQ(encode_container(spec).find("Runtime"), std::string::npos);
  EXPECT_EQ(encode_container(spec).find("Dns"), std::string::npos);
  spec.env = {"HTTP_PROXY=http://p:3128"};
  spec.network = "host";
  spec.runtime = "runc";
  spec.dns = {"10.0.0.2"};
  spec.extra_hosts = {"r.example:10.0.0.7"};
  const auto body = encode_container(spec);
  for (const auto* part : {R"("Env":["HTTP_PROXY=http://p:3128"])", R"("NetworkMode":"host")", R"("Runtime":"runc")",
                           R"("Dns":["10.0.0.2"])", R"("ExtraHosts":["r.example:10.0.0.7"])"}) {
    EXPECT_NE(body.find(part), std::string::npos) << part << " in " << body;
  }
}

}  // namespace
}  // namespace buildwarden::engine
