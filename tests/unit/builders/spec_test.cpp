#include "daemon/builders/spec.h"

#include <gmock/gmock.h>

#include <set>
#include <string>

#include "daemon/builders/toml.h"

namespace buildwarden::builders {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

HostFacts host() {
  HostFacts facts;
  facts.agent_group = 2000;
  return facts;
}

TEST(RealSpec, IsTheDocumentedContainer) {
  BuilderSettings builder;
  builder.buildkitd_flags = {"--debug"};
  builder.memory = "2GiB";
  builder.cpus = "1.5";
  const auto made = real_spec(builder, host());
  ASSERT_TRUE(made);
  const auto& spec = *made;
  EXPECT_EQ(spec.name, "buildwarden_s3");
  EXPECT_EQ(spec.image, "moby/buildkit:buildx-stable-1");
  EXPECT_TRUE(spec.entrypoint.empty());
  EXPECT_THAT(spec.command, ElementsAre("--config", "/etc/buildkit/buildkitd.toml", "--addr",
                                        "unix:///run/buildkit/buildkitd.sock", "--group", "2000", "--debug"));
  EXPECT_THAT(spec.labels,
              UnorderedElementsAre(Pair("com.buildwarden.owner", "buildwarden"), Pair("com.buildwarden.volume", "1")));
  ASSERT_EQ(spec.mounts.size(), 3U);
  EXPECT_TRUE(spec.mounts[0].is_volume);
  EXPECT_EQ(spec.mounts[0].source, "buildwarden_s3");
  EXPECT_EQ(spec.mounts[0].target, "/var/lib/buildkit");
  EXPECT_EQ(spec.mounts[1].source, "/run/buildwarden/builders/s3");
  EXPECT_EQ(spec.mounts[1].target, "/run/buildkit");
  EXPECT_FALSE(spec.mounts[1].read_only);
  EXPECT_EQ(spec.mounts[2].source, "/var/lib/buildwarden/builders/s3");
  EXPECT_EQ(spec.mounts[2].target, "/etc/buildkit");
  EXPECT_TRUE(spec.mounts[2].read_only);
  EXPECT_TRUE(spec.privileged && spec.init && spec.restart_unless_stopped);
  EXPECT_FALSE(spec.host_userns || spec.read_only_root || spec.drop_all_capabilities);
  EXPECT_EQ(spec.memory, 2 * kGiB);
  EXPECT_EQ(spec.nano_cpus, 1'500'000'000);
}

TEST(RealSpec, HasItsSurroundings) {
  BuilderSettings builder;
  builder.env = {{"A", "b"}, {"http_proxy", "http://own:1"}};
  builder.network = "host";
  builder.runtime = "runc";
  builder.dns = {"10.0.0.2"};
  builder.extra_hosts = {"r.example:10.0.0.7"};
  auto facts = host();
  facts.proxies = {"http://engine:3128", "http://engine:3129", "localhost,.example"};
  const auto spec = *real_spec(builder, facts);
  EXPECT_THAT(spec.env, ElementsAre("A=b", "http_proxy=http://own:1", "HTTPS_PROXY=http://engine:3129",
                                    "NO_PROXY=localhost,.example"))
      << "the engine's, but where the builder has its own in either spelling";
  EXPECT_EQ(spec.network, "host");
  EXPECT_EQ(spec.runtime, "runc");
  EXPECT_THAT(spec.dns, ElementsAre("10.0.0.2"));
  EXPECT_THAT(spec.extra_hosts, ElementsAre("r.example:10.0.0.7"));
  const auto front = front_spec(builder, facts, "buildx_buildkit_s30");
  EXPECT_EQ(front.runtime, "runc");
  EXPECT_EQ(front.network, "none");
  EXPECT_THAT(front.env, ElementsAre()) << "it only sleeps";
}

TEST(RealSpec, ASurroundingThatChangesMakesItAnew) {
  const auto before = config_digest(*real_spec(BuilderSettings{}, host()), "");
  std::vector<BuilderSettings> changed(6);
  changed[0].env = {{"A", "b"}};
  changed[1].network = "host";
  changed[2].runtime = "runc";
  changed[3].dns = {"10.0.0.2"};
  changed[4].extra_hosts = {"a:10.0.0.2"};
  changed[5].env = {{"A", "c"}};
  std::set<std::string> digests{before};
  for (const auto& builder : changed) digests.insert(config_digest(*real_spec(builder, host()), ""));
  EXPECT_EQ(digests.size(), 7U) << "each another one";
  auto facts = host();
  facts.proxies.http = "http://engine:3128";
  EXPECT_NE(config_digest(*real_spec(BuilderSettings{}, facts), ""), before) << "the engine's proxy, too";
}

// The engine shows "xxxxx:xxxxx" in the place of a proxy's login: with that each request would be refused.
TEST(RealSpec, AProxyWhoseLoginTheEngineHidesIsNotTaken) {
  auto facts = host();
  facts.proxies = {"http://xxxxx:xxxxx@engine:3128", "", ""};
  EXPECT_THAT(real_spec(BuilderSettings{}, facts)->env, ElementsAre());
}

TEST(RealSpec, RefusesLimitsThatAreNone) {
  for (const auto* cpus : {"0", "-1", "two", "1.5x", "nan", "inf", "1e9"}) {
    BuilderSettings builder;
    builder.cpus = cpus;
    EXPECT_FALSE(real_spec(builder, host())) << cpus;
  }
  BuilderSettings builder;
  builder.memory = "lots";
  const auto made = real_spec(builder, host());
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Errc::kInvalid);
}

TEST(FrontSpec, CanDoNothingButSleep) {
  auto facts = host();
  facts.host_userns = true;
  const auto spec = front_spec(BuilderSettings{}, facts, "buildx_buildkit_s30");
  EXPECT_EQ(spec.name, "buildx_buildkit_s30");
  EXPECT_THAT(spec.entrypoint, ElementsAre("/bin/sleep", "2147483647"));
  EXPECT_TRUE(spec.command.empty());
  EXPECT_FALSE(spec.privileged);
  EXPECT_TRUE(spec.read_only_root && spec.drop_all_capabilities && spec.restart_unless_stopped && spec.host_userns);
  EXPECT_EQ(spec.network, "none");
  EXPECT_EQ(spec.stop_signal, "SIGKILL");
  ASSERT_EQ(spec.mounts.size(), 2U);
  EXPECT_EQ(spec.mounts[0].target, "/run/buildkit");
  EXPECT_FALSE(spec.mounts[0].read_only);
  EXPECT_EQ(spec.mounts[1].target, "/var/lib/buildkit") << "else each front leaves an anonymous volume";
  EXPECT_FALSE(spec.mounts[1].is_volume);
}

TEST(Digest, IsTheSameInEveryVersionOfTheProgram) {
  const auto spec = real_spec(BuilderSettings{}, host());
  EXPECT_EQ(config_digest(*spec, "text"), "64e35a8ca49851fb");
}

TEST(Digest, ShowsEveryChangeThatMattersAndNoOther) {
  const auto base = *real_spec(BuilderSettings{}, host());
  const auto before = config_digest(base, "toml");
  EXPECT_NE(config_digest(base, "other toml"), before);
  std::vector<ports::ContainerSpec> changed(12, base);
  changed[0].image = "other";
  changed[1].command.push_back("--debug");
  changed[2].mounts[1].source = "/elsewhere";
  changed[3].mounts[2].read_only = false;
  changed[4].privileged = false;
  changed[5].init = false;
  changed[6].host_userns = true;
  changed[7].memory = 1;
  changed[8].nano_cpus = 1;
  changed[9].network = "none";
  changed[10].entrypoint = {"x"};
  changed[11].stop_signal = "SIGKILL";
  for (std::size_t i = 0; i < changed.size(); ++i) EXPECT_NE(config_digest(changed[i], "toml"), before) << i;
  auto renamed = base;
  renamed.name = "other";
  renamed.labels["x"] = "y";
  EXPECT_EQ(config_digest(renamed, "toml"), before);
}

TEST(Digest, TakesAnUnknownImageAsUnchanged) {
  const auto known = spec_digest("0123", "sha256:a", "");
  EXPECT_NE(known, spec_digest("0123", "sha256:b", ""));
  EXPECT_EQ(known, spec_digest("0123", std::nullopt, known));
  EXPECT_NE(known, spec_digest("9999", std::nullopt, known));
  EXPECT_EQ(spec_digest("0123", std::nullopt, ""), "0123-");
}

TEST(Toml, BoundsTheCacheInTheWordsOfEveryVersion) {
  BuilderSettings builder;
  builder.max_parallelism = 4;
  EXPECT_EQ(buildkitd_toml(builder), R"(# Written by buildwarden for builder s3; changes are lost.
[worker.oci]
  gc = true
  max-parallelism = 4

  [[worker.oci.gcpolicy]]
    keepBytes = "30%"
    reservedSpace = "30%"
    maxUsedSpace = "30%"

  [[worker.oci.gcpolicy]]
    all = true
    keepBytes = "30%"
    reservedSpace = "30%"
    maxUsedSpace = "30%"

[history]
  maxAge = 1

[system]
  platformsCacheMaxAge = "1s"
)");
}

TEST(Toml, WritesBytesAndRegistries) {
  BuilderSettings builder;
  builder.cache_share = Amount::bytes(5 * kGiB);
  builder.registries["registry.example:5000"] = {
      .mirrors = {"mirror.example", "a\"b\\c\n"}, .ca = "/etc/ssl/private-ca.pem", .insecure = true};
  const auto text = buildkitd_toml(builder);
  EXPECT_THAT(text, HasSubstr("    maxUsedSpace = 5368709120\n"));
  EXPECT_THAT(text, HasSubstr(R"(
[registry."registry.example:5000"]
  mirrors = ["mirror.example", "a\"b\\c\u000A"]
  insecure = true
  ca = ["/etc/buildkit/certs/registry.example_5000/ca.pem"]
)"));
}

TEST(Toml, LaysOursOverTheOperatorsFile) {
  BuilderSettings builder;
  builder.registries["docker.io"].mirrors = {"ours.example"};
  builder.registries["ours.example"].http = true;
  builder.buildkitd_text = R"(debug = true
insecure-entitlements = ["network.host"]
[worker.oci]
  snapshotter = "native"
[worker.oci.labels]
  pool = "ci"
[registry."docker.io"]
  mirrors = ["theirs.example"]
  http = false
[registry."theirs.example"]
  insecure = true
[dns]
  options = ["ndots:1"]
)";
  EXPECT_EQ(buildkitd_toml(builder), R"(# Written by buildwarden for builder s3; changes are lost.
debug = true
insecure-entitlements = [ "network.host" ]

[dns]
options = [ "ndots:1" ]

[history]
maxAge = 1

[registry."docker.io"]
http = false
mirrors = [ "ours.example" ]

[registry."ours.example"]
http = true

[registry."theirs.example"]
insecure = true

[system]
platformsCacheMaxAge = "1s"

[worker.oci]
gc = true
snapshotter = "native"

    [worker.oci.labels]
    pool = "ci"

    [[worker.oci.gcpolicy]]
    keepBytes = "30%"
    maxUsedSpace = "30%"
    reservedSpace = "30%"

    [[worker.oci.gcpolicy]]
    all = true
    keepBytes = "30%"
    maxUsedSpace = "30%"
    reservedSpace = "30%"
)");
}

TEST(Toml, WritesSharesAsWholePercents) {
  BuilderSettings builder;
  builder.cache_share = Amount::share(0.29);  // 0.29 * 100 is a little less than 29
  EXPECT_THAT(buildkitd_toml(builder, 100 * kGiB), HasSubstr("maxUsedSpace = 31138512895\n"))
      << "BuildKit makes 30 GB of 29% of 100 GiB";
  EXPECT_THAT(buildkitd_toml(builder), HasSubstr("\"29%\""));
  builder.cache_share = Amount::share(0.001);
  EXPECT_THAT(buildkitd_toml(builder), HasSubstr("\"1%\"")) << "none at all is never meant";
}

TEST(Toml, KeepsCertificatesInsideTheirFolder) {
  EXPECT_EQ(certificate_file("../../etc/x"), "certs/.._.._etc_x/ca.pem");
  EXPECT_EQ(certificate_file(".."), "certs/_/ca.pem");
}

}  // namespace
}  // namespace buildwarden::builders
