#include "config/changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "config/schema.h"
#include "tests/unit/config/fixture.h"

namespace buildwarden::config {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class Changes : public ConfigTest {
 protected:
  // "key: before -> after", with "!" for a restart.
  [[nodiscard]] std::vector<std::string> told(const Loaded& in_force, const Loaded& fresh) const {
    std::vector<std::string> lines;
    for (const auto& change : compare(in_force, fresh)) {
      lines.push_back(
          shorten(change.key + ": " + change.before + " -> " + change.after + (change.needs_restart ? "!" : "")));
    }
    return lines;
  }
  Loaded of(const std::string& yaml) {
    write("conf.yaml", yaml);
    return loaded();
  }
};

TEST_F(Changes, NothingIsNoChange) {
  EXPECT_THAT(compare(of("disk: { min_free: 1GiB }\n"), of("disk: { min_free: 1GiB }\n")), IsEmpty());
}

TEST_F(Changes, OldAndNewValueWithTheirSources) {
  const auto before = of("");
  write("cfn_env", "set_always \"DOCKER_PRUNE_UNTIL\" \"7d\"\n");
  EXPECT_THAT(told(before, of("disk:\n  min_free: 1GiB\nlisten: { tcp: \"127.0.0.1:1\" }\n")),
              ElementsAre("disk.min_free: 5GiB (default) -> 1GiB (yaml F:2)",
                          "disk.keep_used_within: 4h (default) -> 7d (cfn-env cfn_env:1)",
                          "listen.tcp: 127.0.0.1:9847 (default) -> 127.0.0.1:1 (yaml F:3)!"));
}

TEST_F(Changes, ABuilderThatComesOrGoesIsAllItsKeys) {
  const auto one = of("builders: [ { name: a } ]\n");
  const auto two = of("builders: [ { name: a }, { name: b } ]\n");
  EXPECT_THAT(told(one, two), Contains("builders[1].name:  -> b (yaml F:1)"));
  EXPECT_THAT(told(two, one), Contains("builders[1].name: b (yaml F:1) -> "));
}

TEST_F(Changes, TheSameValueFromElsewhereIsNoChangeButItsNewSourceIsShown) {
  auto in_force = of("disk: { grace: 10m }\n");
  auto fresh = of("\ndisk: { grace: 10m }\n");
  EXPECT_THAT(compare(in_force, fresh), IsEmpty());
  adopt(in_force, std::move(fresh));
  EXPECT_EQ(row(in_force, "disk.grace"), "10m < yaml < F:2");
}

TEST_F(Changes, WhatNeedsARestartStaysInForce) {
  auto in_force = of("disk: { grace: 1m }\n");
  adopt(in_force, of("disk: { grace: 2m }\nlog: { format: text, level: debug }\n"));
  EXPECT_EQ(row(in_force, "disk.grace"), "2m < yaml < F:1");
  EXPECT_EQ(row(in_force, "log.level"), "debug < yaml < F:2");
  EXPECT_EQ(row(in_force, "log.format"), "auto < default < ");
  EXPECT_EQ(in_force.settings.log.format, "auto");
  EXPECT_EQ(in_force.settings.log.level, "debug");
  EXPECT_THAT(
      describe_json(in_force),
      HasSubstr(R"({"key":"log.format","value":"auto","source":"default","location":"","after_restart":"text"})"));
  adopt(in_force, of(""));
  EXPECT_THAT(describe_json(in_force), Not(HasSubstr("after_restart"))) << "the file says again what is in force";
}

TEST_F(Changes, CfnEnvIsReadOnlyWhenItHasVariables) {
  EXPECT_FALSE(loaded().cfn_env_read);
  write("cfn_env", "set_always() { export \"$1=$2\"; }\n\n");
  EXPECT_FALSE(loaded().cfn_env_read) << "half written";
  write("cfn_env", "set_always \"BUILDKITE_STACK_NAME\" \"x\"\n");
  EXPECT_TRUE(loaded().cfn_env_read);
}

// Another value for every key there is: what is shown and what is in force are the same, whichever the key.
TEST_F(Changes, ShownValuesAndSettingsStayTheSame) {
  const std::map<std::string, std::string> others = {
      {"dry_run", "true"},
      {"disk.watch", "[{path: /x}]"},
      {"disk.min_free", "1GiB"},
      {"disk.min_free_inodes", "7"},
      {"disk.reclaim_below", "20%"},
      {"disk.reclaim_to", "30%"},
      {"disk.rank_by", "last_use"},
      {"disk.keep_used_within", "9h"},
      {"disk.grace", "9m"},
      {"disk.keep", "[\"x:*\"]"},
      {"disk.cache_dirs", "[/var/cache/x]"},
      {"disk.ballast", "2GiB"},
      {"on_full.purge_builds", "true"},
      {"on_full.purge_mirrors", "true"},
      {"on_full.terminate_instance", "true"},
      {"on_full.pause_agent", "false"},
      {"on_full.builder_prune", "true"},
      {"builders", "[{name: other}]"},
      {"emulation.platforms", "[]"},
      {"emulation.order", "[image]"},
      {"emulation.image", "x:1"},
      {"jobs.admission_wait", "1m"},
      {"jobs.ttl", "1h"},
      {"jobs.check_at_end", "true"},
      {"jobs.reuse_context", "true"},
      {"jobs.default_load", "true"},
      {"prefetch.images", "[\"x:1\"]"},
      {"seeds.location", "/mnt/seeds"},
      {"seeds.restore", "false"},
      {"seeds.save", "drain"},
      {"seeds.every", "1h"},
      {"seeds.max_size", "1GiB"},
      {"seeds.images", "3"},
      {"seeds.restore_timeout", "1m"},
      {"seeds.endpoint_url", "http://127.0.0.1:3"},
      {"instance.min_uptime", "1m"},
      {"instance.drain_timeout", "1m"},
      {"instance.decrement", "false"},
      {"instance.region", "eu-west-1"},
      {"instance.aws_cli", "/usr/bin/aws"},
      {"instance.endpoint_url", "http://127.0.0.1:1"},
      {"instance.imds_url", "http://127.0.0.1:2"},
      {"agent.user", "other"},
      {"agent.group", "other"},
      {"agent.unit", "other.service"},
      {"agent.terminate_after_job", "true"},
      {"engine.socket", "/x/docker.sock"},
      {"engine.docker_config", "/x"},
      {"listen.socket", "/x/api.sock"},
      {"listen.group", "other"},
      {"listen.tcp", "127.0.0.1:1"},
      {"listen.allowed_hosts", "[x.example]"},
      {"log.level", "debug"},
      {"log.format", "text"},
  };
  for (const auto& field : settings_table()) {
    if (!field.elsewhere.empty()) continue;
    const bool is_path = field.name.starts_with("paths.");
    ASSERT_TRUE(is_path || others.contains(field.name)) << field.name << " needs a line here";
    auto in_force = loaded();
    auto request = request_;
    request.overrides[field.name] = is_path ? "/x/other" : others.at(field.name);
    auto fresh = load(request);
    ASSERT_TRUE(fresh) << fresh.error().message();
    const auto changes = compare(in_force, *fresh);
    ASSERT_THAT(changes, Not(IsEmpty())) << field.name;
    adopt(in_force, *std::move(fresh));
    Rows rows;
    show_all(settings_table(), in_force.settings, "", rows);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(in_force.values[i].key, rows[i].first);
      EXPECT_EQ(in_force.values[i].value, rows[i].second) << rows[i].first << " after " << field.name;
    }
    const auto shown = std::find_if(in_force.values.begin(), in_force.values.end(),
                                    [&](const auto& value) { return value.key == changes.front().key; });
    ASSERT_NE(shown, in_force.values.end());
    EXPECT_EQ(needs_restart(field.name), !shown->after_restart.empty()) << field.name;
  }
}

TEST_F(Changes, TheFilesThatCount) {
  Settings settings;
  settings.paths.cfn_env = "/c";
  settings.paths.agent_env = "/a";
  settings.paths.daemon_json = "/d";
  settings.paths.docker_binfmt_env = "/b";
  LoadRequest request;
  request.yaml_path = "/y";
  settings.paths.docker_drop_ins = "/s";
  EXPECT_THAT(files_of(request, settings), ElementsAre("/y", "/c", "/a", "/d", "/b", "/s/http-proxy.conf"));
  request.yaml_path = "y";
  EXPECT_EQ(files_of(request, settings).front(), std::filesystem::current_path().string() + "/y");
}

}  // namespace
}  // namespace buildwarden::config
