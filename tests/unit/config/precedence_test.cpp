#include <gtest/gtest.h>

#include "tests/unit/config/fixture.h"

namespace buildwarden::config {
namespace {

class Precedence : public ConfigTest {};

TEST_F(Precedence, WithoutAnyFileAllIsDefault) {
  const auto all = loaded();
  EXPECT_EQ(row(all, "disk.min_free"), "5GiB < default < ");
  EXPECT_EQ(row(all, "disk.watch"), "auto < default < ");
  EXPECT_EQ(row(all, "emulation.platforms"), "all < default < ");
  EXPECT_EQ(row(all, "builders[0].name"), "s3 < default < ");
  EXPECT_EQ(row(all, "builders[0].registries"), "{} < default < ");
  EXPECT_EQ(row(all, "builders[0].memory"), "\"\" < default < ");
  EXPECT_EQ(row(all, "engine.data_root"), "/var/lib/docker < default < ");
  EXPECT_EQ(row(all, "paths.cfn_env"), "cfn_env < command-line < command line");
  EXPECT_TRUE(all.warnings.empty());
}

TEST_F(Precedence, EachSourceWinsOverTheOnesBeforeIt) {
  const auto prune = [&] { return row(loaded(), "disk.keep_used_within"); };
  write("cfn_env", "\nset_unless_present \"DOCKER_PRUNE_UNTIL\" \"7d\"\n");
  EXPECT_EQ(prune(), "7d < cfn-env < cfn_env:2");
  write("agent_env", "DOCKER_PRUNE_UNTIL=30m\n");
  EXPECT_EQ(prune(), "30m < agent-env < agent_env:1");
  write("cfn_env", "\nset_unless_present \"DOCKER_PRUNE_UNTIL\" \"7d\"\nset_always \"DOCKER_PRUNE_UNTIL\" \"8d\"\n");
  EXPECT_EQ(prune(), "8d < cfn-env < cfn_env:3");
  write("conf.yaml", "disk:\n  keep_used_within: 90s\n  grace: 5s\n");
  EXPECT_EQ(prune(), "1m30s < yaml < F:2");
  request_.overrides["disk.keep_used_within"] = "2h";
  EXPECT_EQ(prune(), "2h < command-line < command line");
}

// The stack's hook reads cfn-env last: a purge that CloudFormation forbids is not allowed by a file on the host.
TEST_F(Precedence, WhatCloudFormationSetsAlwaysBeatsTheAgentsFile) {
  write(
      "agent_env",
      "BUILDKITE_PURGE_BUILDS_ON_DISK_FULL=true\nBUILDKITE_TERMINATE_INSTANCE_ON_DISK_FULL=true\n"
      "DOCKER_PRUNE_UNTIL=30m\nENABLE_PRE_EXIT_DISK_CLEANUP=true\nDOCKER_USERNS_REMAP=true\nDISK_MIN_AVAILABLE=1024\n");
  write("cfn_env",
        "set_always \"BUILDKITE_PURGE_BUILDS_ON_DISK_FULL\" \"false\"\n"
        "set_always \"BUILDKITE_TERMINATE_INSTANCE_ON_DISK_FULL\" \"false\"\nset_always \"DOCKER_PRUNE_UNTIL\" \"7d\"\n"
        "set_always \"ENABLE_PRE_EXIT_DISK_CLEANUP\" \"false\"\nset_always \"DOCKER_USERNS_REMAP\" \"false\"\n");
  const auto all = loaded();
  EXPECT_FALSE(all.settings.on_full.purge_builds);
  EXPECT_FALSE(all.settings.on_full.terminate_instance);
  EXPECT_FALSE(all.settings.jobs.check_at_end);
  EXPECT_FALSE(all.settings.engine.userns_remap);
  EXPECT_EQ(row(all, "disk.keep_used_within"), "7d < cfn-env < cfn_env:3");
  EXPECT_EQ(row(all, "disk.min_free"), "1MiB < agent-env < agent_env:6") << "these stay the env file's";
}

TEST_F(Precedence, DaemonJsonAndCfnEnvTellOfTheRemap) {
  write("daemon_json", "{\n  \"userns-remap\": \"buildkite-agent\",\n  \"data-root\": \"/mnt/ephemeral/docker\"\n}\n");
  auto all = loaded();
  EXPECT_EQ(row(all, "engine.userns_remap"), "true < daemon.json < daemon_json:2");
  EXPECT_EQ(row(all, "engine.data_root"), "/mnt/ephemeral/docker < daemon.json < daemon_json:3");
  EXPECT_EQ(all.settings.engine.data_root, "/mnt/ephemeral/docker");
  write("cfn_env", "set_always \"DOCKER_USERNS_REMAP\" \"false\"\n");
  all = loaded();
  EXPECT_EQ(row(all, "engine.userns_remap"), "false < cfn-env < cfn_env:1");
  EXPECT_FALSE(all.settings.engine.userns_remap);
}

TEST_F(Precedence, TheYamlSaysWhereTheOtherFilesAre) {
  request_.overrides.erase("paths.cfn_env");
  write("elsewhere", "set_always \"ENABLE_PRE_EXIT_DISK_CLEANUP\" \"true\"\n");
  write("conf.yaml", "paths: {cfn_env: " + file("elsewhere") + "}\n");
  const auto all = loaded();
  EXPECT_TRUE(all.settings.jobs.check_at_end);
  EXPECT_EQ(row(all, "jobs.check_at_end"), "true < cfn-env < elsewhere:1");
}

TEST_F(Precedence, TheRegionFillsTheCachesThatHaveNone) {
  write("cfn_env", "set_unless_present \"AWS_REGION\" \"us-east-1\"\n");
  write("conf.yaml", "builders:\n  - {name: a}\n  - {name: b, cache: {region: eu-west-1}}\n");
  const auto all = loaded();
  EXPECT_EQ(row(all, "instance.region"), "us-east-1 < cfn-env < cfn_env:1");
  EXPECT_EQ(row(all, "builders[0].cache.region"), "us-east-1 < cfn-env < cfn_env:1");
  EXPECT_EQ(row(all, "builders[1].cache.region"), "eu-west-1 < yaml < F:3");
  EXPECT_EQ(all.settings.builders.at(0).cache.region, "us-east-1");
}

TEST_F(Precedence, TheEnginesRegistriesAreTheBuilders) {
  write("daemon_json",
        R"({"registry-mirrors": ["https://mirror.example/", "http://plain.example:5000", "https://u:secret@x"],
"insecure-registries": ["old.example:5000", "10.0.0.0/8"]})");
  write(
      "conf.yaml",
      "builders: [{name: a}, {name: b, registries: {docker.io: {mirrors: []}, 'old.example:5000': {http: false}}}]\n");
  const auto all = loaded();
  const auto& a = all.settings.builders[0].registries;
  EXPECT_EQ(a.at("docker.io").mirrors, (std::vector<std::string>{"mirror.example", "plain.example:5000"}));
  EXPECT_TRUE(a.at("plain.example:5000").http) << "a mirror without TLS";
  EXPECT_FALSE(a.contains("mirror.example"));
  EXPECT_TRUE(a.at("old.example:5000").http && a.at("old.example:5000").insecure) << "the engine tries both";
  EXPECT_FALSE(a.contains("10.0.0.0/8"));
  EXPECT_EQ(row(all, "builders[0].registries[docker.io].mirrors"),
            "[mirror.example, plain.example:5000] < daemon.json < daemon_json:1");
  const auto& b = all.settings.builders[1].registries;
  EXPECT_TRUE(b.at("docker.io").mirrors.empty()) << "the operator's word";
  EXPECT_FALSE(b.at("old.example:5000").http || b.at("old.example:5000").insecure);
  EXPECT_EQ(warnings(all),
            "daemon_json:2: insecure-registries: \"10.0.0.0/8\" is a network, which BuildKit cannot be told; "
            "builders take what stands in builders[].registries.HOST");
  write("daemon_json", R"({"registry-mirrors": "https://m", "insecure-registries": [1]})");
  EXPECT_EQ(warnings(loaded()),
            "daemon_json:1: registry-mirrors: not a list of texts; it is ignored\n"
            "daemon_json:1: insecure-registries: not a list of texts; it is ignored");
}

TEST_F(Precedence, TheImageOfTheBinfmtUnitIsTaken) {
  write("docker_binfmt_env", "# pinned\nQEMU_BINFMT_IMAGE=\"tonistiigi/binfmt:7.0.0-28@sha256:66e1\"\n");
  EXPECT_EQ(row(loaded(), "emulation.image"),
            "tonistiigi/binfmt:7.0.0-28@sha256:66e1 < docker-binfmt.env < docker_binfmt_env:2");
}

TEST_F(Precedence, OverridesTakeListsInFlowStyle) {
  request_.overrides["emulation.platforms"] = "[]";
  request_.overrides["builders"] = "[{name: x, image: \"r/i:1\"}]";
  request_.overrides["listen.tcp"] = "127.0.0.1:0";
  request_.overrides["disk.watch"] = "[{path: /srv, gate: false}]";
  request_.overrides["dry_run"] = "true";
  const auto all = loaded();
  EXPECT_TRUE(all.settings.dry_run);
  EXPECT_FALSE(all.settings.emulation.all_platforms);
  EXPECT_TRUE(all.settings.emulation.platforms.empty());
  EXPECT_EQ(row(all, "builders[0].image"), "r/i:1 < command-line < command line");
  EXPECT_EQ(row(all, "builders[0].memory"), "\"\" < default < ");
  EXPECT_EQ(row(all, "disk.watch[0].path"), "/srv < command-line < command line");
  ASSERT_EQ(all.settings.disk.watch.size(), 1U);
  EXPECT_FALSE(all.settings.disk.watch[0].gate);
}

TEST_F(Precedence, AListThatReplacesAnotherLeavesNothingOfItsPlaces) {
  write("conf.yaml", "builders: [{name: a, memory: 1GiB}]\n");
  request_.overrides["builders"] = "[{name: b}]";
  EXPECT_EQ(row(loaded(), "builders[0].memory"), "\"\" < default < ");
}

TEST_F(Precedence, WrongOverridesAreRefused) {
  request_.overrides["disk.min_fre"] = "1GiB";
  request_.overrides["builders"] = "[{name: }";
  request_.overrides["engine.userns_remap"] = "true";
  EXPECT_EQ(mistakes_of(""),
            "command line: builders: value:1:1: not the YAML that is wanted: end of sequence flow not found\n"
            "command line: disk.min_fre: is not a known key; did you mean disk.min_free?\n"
            "command line: engine.userns_remap: cannot be set here; it comes from DOCKER_USERNS_REMAP in cfn-env, or "
            "userns-remap in daemon.json");
}

TEST_F(Precedence, AFileThatWasNamedMustBeThere) {
  request_.yaml_required = true;
  const auto result = load(request_);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Errc::kNotFound);
  write("conf.yaml", std::string(std::size_t{257} * 1024, '#'));
  EXPECT_EQ(load(request_).error().code(), Errc::kTooLarge);
}

TEST_F(Precedence, EverySettingOfTheYamlReachesTheStruct) {
  write("conf.yaml",
        "disk: {watch: [{path: /a}], keep: ['x/*'], cache_dirs: [/var/cache/x], ballast: 0B, min_free: 3GB}\n"
        "builders:\n"
        "  - {name: n, aliases: [my.alias], cache_share: 20GiB, max_parallelism: 4, memory: 2GiB, cpus: 1.5,\n"
        "     on_foreign: adopt, buildkitd_flags: [--debug], registries: {docker.io: {mirrors: [m:5000], insecure: "
        "true}},\n"
        "     cache: {type: registry, ref: 'r/c:1', mode: min, ignore_error: false}}\n"
        "listen: {tcp: \"\", group: 991}\ninstance: {drain_timeout: 1h30m}\nprefetch: {images: [alpine]}\n");
  const auto s = loaded().settings;
  EXPECT_EQ(s.disk.watch.at(0).path, "/a");
  EXPECT_TRUE(s.disk.watch.at(0).gate);
  EXPECT_EQ(s.disk.ballast, Amount::bytes(0));
  EXPECT_EQ(s.disk.min_free, Amount::bytes(3'000'000'000));
  const auto& b = s.builders.at(0);
  EXPECT_EQ(b.aliases, std::vector<std::string>{"my.alias"});
  EXPECT_EQ(b.cache_share, Amount::bytes(20 * kGiB));
  EXPECT_EQ(b.max_parallelism, 4);
  EXPECT_EQ(b.cpus, "1.5");
  EXPECT_EQ(b.on_foreign, OnForeign::kAdopt);
  EXPECT_EQ(b.registries.at("docker.io").mirrors.at(0), "m:5000");
  EXPECT_TRUE(b.registries.at("docker.io").insecure);
  EXPECT_EQ(b.cache.type, CacheType::kRegistry);
  EXPECT_EQ(b.cache.mode, "min");
  EXPECT_FALSE(b.cache.ignore_error);
  EXPECT_EQ(s.listen.tcp, "");
  EXPECT_EQ(s.listen.group, "991");
  EXPECT_EQ(s.instance.drain_timeout, std::chrono::minutes{90});
  EXPECT_EQ(s.prefetch.images.at(0), "alpine");
}

}  // namespace
}  // namespace buildwarden::config
