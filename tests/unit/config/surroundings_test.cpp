// What a builder is surrounded by: variables, network, names, a buildkitd.toml of the operator's own.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "config/buildkitd_file.h"
#include "config/changes.h"
#include "config/docker_service.h"
#include "config/text.h"
#include "tests/unit/config/fixture.h"

namespace buildwarden::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class Surroundings : public ConfigTest {
 protected:
  void set_toml(std::string_view text) { write("b.toml", text); }
  std::string with_toml(std::string_view text) {
    set_toml(text);
    return mistakes_of("builders: [{buildkitd_toml: " + file("b.toml") + "}]\n");
  }
};

TEST_F(Surroundings, ReachTheSettings) {
  write("conf.yaml",
        "builders:\n"
        "  - env: {HTTPS_PROXY: \"http://u:p@proxy:3128\", NO_PROXY: \"localhost,.example\", TOKEN: hush}\n"
        "    network: host\n"
        "    runtime: runc\n"
        "    dns: [10.0.0.2, \"fd00::2\"]\n"
        "    extra_hosts: [\"r.example:10.0.0.7\", \"six.example:fd00::7\", \"host.example:host-gateway\"]\n"
        "    registries: {\"m:5000\": {http: true}}\n");
  const auto all = loaded();
  const auto& builder = all.settings.builders.at(0);
  EXPECT_EQ(builder.env.at("HTTPS_PROXY"), "http://u:p@proxy:3128");
  EXPECT_EQ(builder.network, "host");
  EXPECT_EQ(builder.runtime, "runc");
  EXPECT_THAT(builder.dns, ElementsAre("10.0.0.2", "fd00::2"));
  EXPECT_EQ(builder.extra_hosts.size(), 3U);
  EXPECT_TRUE(builder.registries.at("m:5000").http);
}

// As systemd.exec(5) has them; the engine's /info hides the login.
TEST_F(Surroundings, AProxyWithALoginIsTheDropIns) {
  const auto parsed = parse_unit_environment(
      "[Unit]\nEnvironment=A=unit\n[Service]\nEnvironment=\"B=one two\" C=3 'D=\"'\n; Environment=E=5\n"
      "Environment = F=p%%40w \\\n # a remark between\n  G=7\nEnvironmentFile=/x\n");
  std::string all;
  for (const auto& [name, variable] : parsed.by_name) all += name + "=" + variable.value + ";";
  EXPECT_EQ(all, "B=one two;C=3;D=\";F=p%40w;G=7;");
  EXPECT_EQ(parsed.by_name.at("B").line, 4);
  EXPECT_FALSE(parsed.forgets);
  EXPECT_TRUE(parse_unit_environment("[Service]\nEnvironment=A=1\nEnvironment=\n").by_name.empty());

  std::filesystem::create_directory(file("docker_drop_ins"));
  write("docker_drop_ins/10-old.conf", "[Service]\nEnvironment=HTTPS_PROXY=http://old:old@proxy\n");
  write("docker_drop_ins/http-proxy.conf",
        "[Service]\nEnvironment=\"HTTPS_PROXY=http://u:p%%40w@proxy:3128\" http_proxy=http://plain:1 NO_PROXY=a\n");
  write("docker_drop_ins/zz.conf.disabled", "[Service]\nEnvironment=\n");
  write("conf.yaml", "builders: [{name: a}, {name: b, env: {https_proxy: \"\"}}]\n");
  auto all_files = loaded();
  EXPECT_EQ(all_files.settings.builders[0].env,
            (std::map<std::string, std::string>{{"HTTPS_PROXY", "http://u:p%40w@proxy:3128"}}))
      << "what has no login the engine tells itself";
  EXPECT_EQ(row(all_files, "builders[0].env[HTTPS_PROXY]"),
            "\"http://***@proxy:3128\" < docker.service < docker_drop_ins/http-proxy.conf:2");
  EXPECT_EQ(all_files.settings.builders[1].env, (std::map<std::string, std::string>{{"https_proxy", ""}}));
  write("daemon_json", R"({"proxies": {"https-proxy": "http://v:q@json:1", "http-proxy": "http://plain:2"}})");
  all_files = loaded();
  EXPECT_EQ(row(all_files, "builders[0].env[HTTPS_PROXY]"), "\"http://***@json:1\" < daemon.json < daemon_json:1");
  ::chmod(file("docker_drop_ins/http-proxy.conf").c_str(), 0666);
  std::filesystem::remove(file("daemon_json"));
  all_files = loaded();
  EXPECT_EQ(row(all_files, "builders[0].env[HTTPS_PROXY]"),
            "\"http://***@proxy\" < docker.service < docker_drop_ins/10-old.conf:2");
  EXPECT_THAT(warnings(all_files), HasSubstr("http-proxy.conf does not count"));
}

TEST_F(Surroundings, NoSecretOfAVariableIsShown) {
  write("conf.yaml", "builders: [{env: {HTTPS_PROXY: \"http://user:s@cret@proxy:3128\", TOKEN: hush}}]\n");
  const auto all = loaded();
  EXPECT_EQ(row(all, "builders[0].env[HTTPS_PROXY]"), "\"http://***@proxy:3128\" < yaml < F:1");
  for (const auto& text : {describe(all), describe_json(all)}) {
    EXPECT_THAT(text, Not(HasSubstr("hush")));
    EXPECT_THAT(text, Not(HasSubstr("s@cret")));
    EXPECT_THAT(text, HasSubstr("builders[0].env[TOKEN]"));
  }
  EXPECT_THAT(mistakes_of("builders: [{env: {TOKEN: \"hush\\u0001\"}}]\n"), Not(HasSubstr("hush")));
  EXPECT_EQ(without_login("proxy:3128"), "proxy:3128");
  EXPECT_EQ(without_login("user:pass@proxy"), "***@proxy");
}

TEST_F(Surroundings, WhatIsWrongIsNamed) {
  EXPECT_EQ(mistakes_of("builders: [{network: bridge}]\n"),
            "F:1:22: builders[0].network: \"bridge\" is not the network's name that is taken here; write one such as "
            "host, or \"\"");
  for (const auto* wrong : {"dns: [one]", "dns: [\"[::1]\"]", "extra_hosts: [a]", "extra_hosts: [\"a:b\"]",
                            "extra_hosts: [\":10.0.0.1\"]", "runtime: \"a b\"", "env: {1A: b}", "env: {A: [b]}",
                            "env: [A]", "buildkitd_toml: b.toml", "registries: {a: {http: maybe}}"}) {
    EXPECT_NE(mistakes_of(std::string("builders: [{") + wrong + "}]\n"), "") << wrong;
  }
}

TEST_F(Surroundings, TheOperatorsFileIsReadWithItsRegistries) {
  set_toml("debug = true\n[registry.\"docker.io\"]\nmirrors = [\"theirs\"]\n");
  write("daemon_json", R"({"registry-mirrors": ["https://mirror.example"]})");
  write("conf.yaml", "builders: [{buildkitd_toml: " + file("b.toml") + "}]\n");
  const auto all = loaded();
  const auto& builder = all.settings.builders.at(0);
  EXPECT_THAT(builder.buildkitd_text, HasSubstr("debug = true"));
  EXPECT_FALSE(builder.registries.contains("docker.io")) << "the file's word on it beats the engine's";
  EXPECT_THAT(files_of(request_, all.settings), ::testing::Contains(file("b.toml"))) << "it is watched";
}

TEST_F(Surroundings, WhatTheDaemonMustSetIsRefusedWithItsLine) {
  EXPECT_EQ(
      with_toml("root = \"/x\"\n[grpc]\naddress = [\"tcp://0.0.0.0:1\"]\ndebugAddress = \"0.0.0.0:2\"\n"),
      "F:1:29: builders[0].buildkitd_toml: b.toml:3:1: grpc.address: is the daemon's to set; the daemon hands out "
      "its own socket\n"
      "b.toml:1:1: root: is the daemon's to set; the cache lies on the builder's volume");
  for (const auto* own :
       {"[worker.oci]\ngc = false\n", "[worker.oci]\nGC = false\n", "[[worker.oci.gcpolicy]]\nall = true\n",
        "worker.oci.maxUsedSpace = 1\n", "[history]\nmaxAge = 9\n", "[worker.containerd]\nenabled = true\n",
        "[worker.oci]\nenabled = false\n", "[registry.\"a\"]\nca = [\"/x\"]\n"}) {
    EXPECT_THAT(with_toml(own), HasSubstr("is the daemon's to set")) << own;
  }
  for (const auto* fine :
       {"", "[worker.oci]\nenabled = true\nsnapshotter = \"native\"\n", "[worker.containerd]\nenabled = false\n",
        "[dns]\nnameservers = [\"10.0.0.2\"]\n", "[registry.\"a\"]\nhttp = true\n"}) {
    EXPECT_EQ(with_toml(fine), "") << fine;
  }
}

TEST_F(Surroundings, WhatIsNoTomlIsToldWithItsLine) {
  EXPECT_THAT(with_toml("debug = true\n[registry\n"), HasSubstr("builders[0].buildkitd_toml: b.toml:2:"));
}

TEST_F(Surroundings, OnlyRootsOwnFileCounts) {
  set_toml("debug = true\n");
  ::chmod(file("b.toml").c_str(), 0666);
  const auto yaml = "builders: [{buildkitd_toml: " + file("b.toml") + "}]\n";
  EXPECT_THAT(mistakes_of(yaml), HasSubstr("b.toml does not count, since others than root may write to it"));
  ::chmod(file("b.toml").c_str(), 0644);
  ASSERT_EQ(mistakes_of(yaml), "");
  ::chmod(dir_.c_str(), 0777);
  EXPECT_THAT(mistakes_of(yaml), HasSubstr("others than root may replace b.toml"));
  ::chmod(dir_.c_str(), 0755);
  std::filesystem::remove(file("b.toml"));
  EXPECT_NE(mistakes_of(yaml), "");
}

// Neither a password nor the text of a file shows in any value, and both must count at once.
TEST_F(Surroundings, AChangeThatNoValueShowsIsOne) {
  set_toml("debug = true\n");
  const auto yaml = [this](const std::string& password) {
    return "builders: [{env: {HTTP_PROXY: \"http://u:" + password + "@p\"}, buildkitd_toml: " + file("b.toml") + "}]\n";
  };
  write("conf.yaml", yaml("one"));
  const auto before = loaded();
  EXPECT_TRUE(compare(before, loaded()).empty());
  write("conf.yaml", yaml("two"));
  auto changes = compare(before, loaded());
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].key, "builders[0].env");
  EXPECT_FALSE(changes[0].needs_restart);
  set_toml("debug = false\n");
  changes = compare(before, loaded());
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[1].key, "builders[0].buildkitd_toml");
}

}  // namespace
}  // namespace buildwarden::config
