#include <gtest/gtest.h>

#include <filesystem>

#include "config/env_files.h"
#include "tests/unit/config/fixture.h"

namespace buildwarden::config {
namespace {

using std::string_literals::operator""s;

class Env : public ConfigTest {
 protected:
  // The head of the stack's file: two functions, which must not be taken for assignments.
  static constexpr const char* kHead =
      "# sets the variables that hooks and plugins expect\n"
      "function set_unless_present() {\n    local target=$1\n    local value=$2\n\n    if [[ -v \"${target}\" ]]; "
      "then\n"
      "        echo \"already set\"\n    else\n        declare -gx \"${target}=${value}\"\n    fi\n}\n\n"
      "function set_always() {\n    local target=$1\n    local value=$2\n\n    declare -gx "
      "\"${target}=${value}\"\n}\n\n";
};

TEST_F(Env, ReadsTheStacksFile) {
  write("cfn_env", std::string(kHead) +
                       "set_always         \"BUILDKITE_AGENTS_PER_INSTANCE\" \"1\"\n\n"
                       "# also set via the unit\n"
                       "set_always         \"BUILDKITE_TERMINATE_INSTANCE_ON_DISK_FULL\" \"true\"\n"
                       "set_always         \"BUILDKITE_TERMINATE_INSTANCE_AFTER_JOB\" \"true\"\n"
                       "set_always         \"BUILDKITE_PURGE_BUILDS_ON_DISK_FULL\" \"true\"\n"
                       "set_always         \"DOCKER_USERNS_REMAP\" \"true\"\n"
                       "set_always         \"ENABLE_PRE_EXIT_DISK_CLEANUP\" \"false\"\n"
                       "set_always         \"DOCKER_PRUNE_UNTIL\" \"7d\"\n"
                       "set_always         \"DOCKER_BUILDER_PRUNE_ENABLED\" \"true\"\n"
                       "set_always         \"DOCKER_VERSION\" \"25.0.8\"\n"
                       "set_unless_present \"AWS_DEFAULT_REGION\" \"us-east-1\"\n"
                       "set_unless_present \"AWS_REGION\" \"us-east-1\"\n");
  const auto all = loaded();
  EXPECT_EQ(warnings(all), "");
  EXPECT_TRUE(all.settings.on_full.terminate_instance);
  EXPECT_TRUE(all.settings.agent.terminate_after_job);
  EXPECT_TRUE(all.settings.on_full.purge_builds);
  EXPECT_TRUE(all.settings.on_full.builder_prune);
  EXPECT_TRUE(all.settings.engine.userns_remap);
  EXPECT_FALSE(all.settings.jobs.check_at_end);
  EXPECT_EQ(all.settings.disk.keep_used_within, std::chrono::hours{7 * 24});
  EXPECT_EQ(all.settings.instance.region, "us-east-1");
  EXPECT_EQ(row(all, "on_full.terminate_instance"), "true < cfn-env < cfn_env:23");
  EXPECT_EQ(row(all, "jobs.check_at_end"), "false < cfn-env < cfn_env:27");
}

TEST_F(Env, TheLastAssignmentWinsAndUnlessPresentOnlyWithoutOne) {
  const auto v = parse_cfn_env(
      "set_always \"A\" \"1\"\nset_always \"A\" \"2\"\nset_unless_present \"A\" \"3\"\n"
      "set_unless_present \"B\" \"4\"\nset_unless_present \"B\" \"5\"\n\tset_always \"B\" \"6\"\n");
  EXPECT_EQ(v.by_name.at("A").value, "2");
  EXPECT_EQ(v.by_name.at("A").line, 2);
  EXPECT_EQ(v.by_name.at("B").value, "6");
  EXPECT_TRUE(v.odd_lines.empty());
}

TEST_F(Env, HostileValuesStayText) {
  const std::string trap = file("touched");
  const auto v = parse_cfn_env("set_always \"A\" \"$(touch " + trap + ")\"\nset_always \"B\" \"`id`\"\n" +
                               "set_always \"C\" \"a\" \"b\"\nset_always \"D\" \"x\"  \r\n" +
                               "set_always \"E\" \"\"; rm -rf / #\"\nset_always \"F\" \"n\0l\"\n"s);
  EXPECT_EQ(v.by_name.at("A").value, "$(touch " + trap + ")");
  EXPECT_EQ(v.by_name.at("B").value, "`id`");
  EXPECT_EQ(v.by_name.at("C").value, "a\" \"b");
  EXPECT_EQ(v.by_name.at("D").value, "x");
  EXPECT_EQ(v.by_name.at("E").value, "\"; rm -rf / #");
  EXPECT_EQ(v.by_name.at("F").value, "n\0l"s);
  EXPECT_FALSE(std::filesystem::exists(trap));
}

TEST_F(Env, LinesThatOnlyLookLikeAssignmentsAreNamed) {
  write("cfn_env",
        "set_always \"DOCKER_PRUNE_UNTIL\" 4h\nset_always DOCKER_PRUNE_UNTIL \"4h\"\nset_always \"a b\" \"4h\"\n"
        "set_always\"A\" \"4h\"\nset_always \"A\"\"4h\"\nset_always \"A\" \"4h\nset_always\n");
  const auto all = loaded();
  EXPECT_EQ(warnings(all),
            "cfn_env:1: not an assignment; the line is ignored\ncfn_env:2: not an assignment; the line is ignored\n"
            "cfn_env:3: not an assignment; the line is ignored\ncfn_env:4: not an assignment; the line is ignored\n"
            "cfn_env:5: not an assignment; the line is ignored");
  EXPECT_EQ(row(all, "disk.keep_used_within"), "4h < default < ");
}

struct BadValue {
  const char* name;
  std::string line;
  const char* key;
  const char* row;
  const char* warning;
};

void PrintTo(const BadValue& bad, std::ostream* out) { *out << bad.name; }

class BadEnv : public Env, public ::testing::WithParamInterface<BadValue> {};

TEST_P(BadEnv, WarnsAndNeverStopsTheStart) {
  write("agent_env", "\n" + GetParam().line + "\n");
  const auto all = loaded();
  EXPECT_EQ(row(all, GetParam().key), GetParam().row);
  EXPECT_EQ(warnings(all), GetParam().warning);
}

const BadValue kBadValues[] = {
    {"Command", "DOCKER_PRUNE_UNTIL='$(touch /tmp/x)'", "disk.keep_used_within", "4h < default < ",
     "agent_env:2: DOCKER_PRUNE_UNTIL: \"$(touch /tmp/x)\" is not a duration; write a duration from 0s to 3650d "
     "such as 90s, 4h, 7d or 1h30m; 4h stays"},
    {"Empty", "DOCKER_PRUNE_UNTIL=", "disk.keep_used_within", "4h < default < ",
     "agent_env:2: DOCKER_PRUNE_UNTIL: \"\" is not a duration; write a duration from 0s to 3650d such as 90s, 4h, "
     "7d or 1h30m; 4h stays"},
    {"UpperTrue", "BUILDKITE_TERMINATE_INSTANCE_ON_DISK_FULL=True", "on_full.terminate_instance",
     "false < agent-env < agent_env:2",
     "agent_env:2: BUILDKITE_TERMINATE_INSTANCE_ON_DISK_FULL: \"True\" counts as false; write true or false"},
    {"One", "BUILDKITE_PURGE_BUILDS_ON_DISK_FULL=1", "on_full.purge_builds", "false < agent-env < agent_env:2",
     "agent_env:2: BUILDKITE_PURGE_BUILDS_ON_DISK_FULL: \"1\" counts as false; write true or false"},
    {"Binary", "BUILDKITE_PURGE_BUILDS_ON_DISK_FULL=tr\0ue\xff"s, "on_full.purge_builds",
     "false < agent-env < agent_env:2",
     "agent_env:2: BUILDKITE_PURGE_BUILDS_ON_DISK_FULL: \"tr\\x00ue\\xff\" counts as false; write true or false"},
    {"NotKiB", "DISK_MIN_AVAILABLE=5GiB", "disk.min_free", "5GiB < default < ",
     "agent_env:2: DISK_MIN_AVAILABLE: \"5GiB\" is not a whole number; write a whole number of KiB; 5GiB stays"},
    {"TooManyKiB", "DISK_MIN_AVAILABLE=99999999999999999999", "disk.min_free", "5GiB < default < ",
     "agent_env:2: DISK_MIN_AVAILABLE: \"99999999999999999999\" is out of range; write a whole number of KiB; 5GiB "
     "stays"},
    {"Inodes", "DISK_MIN_INODES=many", "disk.min_free_inodes", "250000 < default < ",
     "agent_env:2: DISK_MIN_INODES: \"many\" is not a whole number; write a whole number from 0 to "
     "1000000000000; 250000 stays"},
    {"Region", "AWS_REGION=`id`", "instance.region", "\"\" < default < ",
     "agent_env:2: AWS_REGION: \"`id`\" is not a region's name; write one such as us-east-1, or \"\"; \"\" stays"},
    {"Option", "AWS_REGION=--no-verify-ssl", "instance.region", "\"\" < default < ",
     "agent_env:2: AWS_REGION: \"--no-verify-ssl\" is not a region's name; write one such as us-east-1, or \"\"; \"\" "
     "stays"},
    {"Long", "AWS_REGION=" + std::string(100'000, 'a'), "instance.region", "\"\" < default < ",
     "agent_env:2: AWS_REGION: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…\" is not a "
     "region's name; write one such as us-east-1, or \"\"; \"\" stays"},
    {"NoAssignment", "hello", "disk.min_free", "5GiB < default < ",
     "agent_env:2: not an assignment; the line is ignored"},
    {"Good", "DISK_MIN_AVAILABLE=1048576", "disk.min_free", "1GiB < agent-env < agent_env:2", ""},
};

INSTANTIATE_TEST_SUITE_P(Table, BadEnv, ::testing::ValuesIn(kBadValues), [](const auto& at) { return at.param.name; });

TEST_F(Env, ThresholdsOfTheDiskAreTakenFromTheAgentsFileOnly) {
  write("cfn_env", "set_always \"DISK_MIN_AVAILABLE\" \"1024\"\nset_always \"DISK_MIN_INODES\" \"1\"\n");
  EXPECT_EQ(row(loaded(), "disk.min_free"), "5GiB < default < ");
  EXPECT_EQ(row(loaded(), "disk.min_free_inodes"), "250000 < default < ");
}

TEST_F(Env, ReadsAnEnvironmentFileAsSystemdDoes) {
  const auto v = parse_environment_file(
      "# A=0\n; B=0 \\\nC=0\nA=1\n  D = two words  \nE=\"a \\\"q\\\" $x \\n\"\nF='s \\ \"'\nG=a\\\nb\nH=x y'z'\n"
      "I=\"first\nJ=not one\n\"\nA=2\r\nK=\n");
  EXPECT_EQ(v.by_name.at("A").value, "2");
  EXPECT_EQ(v.by_name.at("A").line, 14);
  EXPECT_FALSE(v.by_name.contains("B"));
  EXPECT_FALSE(v.by_name.contains("C"));  // the comment goes on after its backslash
  EXPECT_EQ(v.by_name.at("D").value, "two words");
  EXPECT_EQ(v.by_name.at("E").value, "a \"q\" $x \\n");
  EXPECT_EQ(v.by_name.at("F").value, "s \\ \"");
  EXPECT_EQ(v.by_name.at("G").value, "ab");
  EXPECT_EQ(v.by_name.at("H").value, "x y'z'");
  EXPECT_EQ(v.by_name.at("I").value, "first\nJ=not one\n");
  EXPECT_FALSE(v.by_name.contains("J"));
  EXPECT_EQ(v.by_name.at("K").value, "");
  EXPECT_TRUE(v.odd_lines.empty());
}

// Systemd reads the agent's file: a line that a shell would take is none for it.
TEST_F(Env, ALineOfAShellIsPassedOverAndSaid) {
  write("agent_env", "export DISK_MIN_AVAILABLE=10485760\nDISK MIN=1\n");
  const auto all = loaded();
  EXPECT_EQ(row(all, "disk.min_free"), "5GiB < default < ");
  EXPECT_EQ(warnings(all),
            "agent_env:2: not an assignment; the line is ignored\n"
            "agent_env:1: systemd, which reads this file, does not know `export` and passes over the line; write "
            "NAME=value");
}

// As dockerd takes them.
TEST_F(Env, ADaemonJsonMayBeginWithAByteOrderMark) {
  const std::string json = "{\"data-root\": \"/caf\u00e9\"}";
  std::string little = "\xff\xfe";
  std::string big = "\xfe\xff";
  for (const auto c : std::u16string(u"{\"data-root\": \"/caf\u00e9\"}")) {
    const auto high = static_cast<char>(c >> 8);
    const auto low = static_cast<char>(c & 0xff);
    little += {low, high};
    big += {high, low};
  }
  for (const auto& text : {json, "\xef\xbb\xbf" + json, little, big}) {
    write("daemon_json", text);
    EXPECT_EQ(loaded().settings.engine.data_root, "/caf\u00e9") << warnings(loaded());
    EXPECT_EQ(warnings(loaded()), "");
  }
  write("daemon_json", little.substr(0, 9));
  EXPECT_NE(warnings(loaded()).find("not JSON"), std::string::npos);
}

TEST_F(Env, AFileOfAnyBytesIsHarmless) {
  std::string bytes;
  for (int i = 0; i < 200'000; ++i) bytes += static_cast<char>((i * 7919 + i / 251) & 0xFF);
  write("cfn_env", bytes);
  write("agent_env", bytes);
  write("docker_binfmt_env", bytes);
  write("daemon_json", bytes);
  EXPECT_EQ(row(loaded(), "disk.min_free"), "5GiB < default < ");
  write("cfn_env", std::string(std::size_t{300} * 1024, 'x'));
  EXPECT_NE(warnings(loaded()).find("cfn_env is larger than 256 KiB"), std::string::npos);
}

TEST_F(Env, AShortPruneAgeTakesTheDefaultGraceWithIt) {
  write("cfn_env", "set_always \"DOCKER_PRUNE_UNTIL\" \"5m\"\n");
  const auto all = loaded();
  EXPECT_EQ(all.settings.disk.keep_used_within, std::chrono::minutes{5});
  EXPECT_EQ(row(all, "disk.grace"), "5m < cfn-env < cfn_env:1");
  EXPECT_EQ(warnings(all), "cfn_env:1: disk.keep_used_within: 5m is shorter than disk.grace 10m, which follows it");
}

TEST_F(Env, WhatAnEnvFilePutsOutOfOrderIsAWarning) {
  write("cfn_env", "set_always \"DOCKER_PRUNE_UNTIL\" \"5m\"\n");
  write("agent_env", "DISK_MIN_AVAILABLE=10485760\n");
  write("conf.yaml", "disk: {grace: 1h, reclaim_below: 8GiB}\n");
  const auto all = loaded();
  EXPECT_EQ(warnings(all),
            "agent_env:1: disk.min_free: 10GiB is not below disk.reclaim_below 8GiB (yaml); the higher one counts\n"
            "F:1:15: disk.grace: 1h is longer than disk.keep_used_within 5m (cfn-env); what is younger than grace "
            "stays");
  EXPECT_EQ(all.settings.disk.grace, std::chrono::hours{1});
  EXPECT_EQ(all.settings.disk.min_free, Amount::bytes(10 * kGiB));
}

TEST_F(Env, ADaemonJsonThatIsNoneIsAWarning) {
  const auto warning = [&](std::string_view text) {
    write("daemon_json", text);
    return warnings(loaded());
  };
  EXPECT_EQ(warning("{\n  \"data-root\": \"/a\",,\n}"), "daemon_json:2: not JSON (syntax error); the file is ignored");
  EXPECT_EQ(warning("{\"data-root\": "), "daemon_json:1: not JSON (incomplete JSON); the file is ignored");
  EXPECT_EQ(warning("{} {}"), "daemon_json:1: not JSON (extra data); the file is ignored");
  EXPECT_EQ(warning("[]"), "daemon_json: no JSON object; the file is ignored");
  EXPECT_EQ(warning("{\n\"data-root\": 5}"), "daemon_json:2: data-root: not a text; the value is ignored");
  EXPECT_EQ(warning("{\"userns-remap\": true}"), "daemon_json:1: userns-remap: not a text; the value is ignored");
  EXPECT_EQ(warning("{\"data-root\": \"relative\"}"),
            "daemon_json:1: engine.data_root: \"relative\" is not an absolute path without ..; write one such as "
            "/var/lib/example");
  EXPECT_EQ(warning(""), "");
  EXPECT_EQ(warning("{\"userns-remap\": \"\"}"), "");
  EXPECT_FALSE(loaded().settings.engine.userns_remap);
}

TEST_F(Env, ABinfmtFileWithoutAnImageOrWithAHostileOneIsAWarning) {
  write("docker_binfmt_env", "OTHER=1\n");
  EXPECT_EQ(warnings(loaded()), "docker_binfmt_env: no variable BINFMT_IMAGE in it; emulation.image stays as it is");
  write("docker_binfmt_env", "BINFMT_IMAGE=$(touch /tmp/x)\n");
  const auto all = loaded();
  EXPECT_EQ(all.settings.emulation.image, "");
  EXPECT_EQ(warnings(all),
            "docker_binfmt_env:1: BINFMT_IMAGE: \"$(touch /tmp/x)\" is not an image reference; write one such as "
            "moby/buildkit:buildx-stable-1, or \"\"; \"\" stays");
}

TEST_F(Env, AFileThatCannotBeReadIsAWarning) {
  std::filesystem::create_directory(file("cfn_env"));
  EXPECT_EQ(warnings(loaded()).find("read cfn_env: "), 0U) << warnings(loaded());
}

}  // namespace
}  // namespace buildwarden::config
