#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/config/fixture.h"

namespace buildwarden::config {
namespace {

using ::testing::HasSubstr;

struct Bad {
  const char* name;
  const char* yaml;
  const char* message;
};

void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }

class BadYaml : public ConfigTest, public ::testing::WithParamInterface<Bad> {};

TEST_P(BadYaml, IsRefusedWithPlaceKeyAndRemedy) { EXPECT_EQ(mistakes_of(GetParam().yaml), GetParam().message); }

const Bad kBad[] = {
    {"UnknownKey", "disk:\n  min_fre: 5GiB\n", "F:2:3: disk.min_fre: is not a known key; did you mean min_free?"},
    {"UnknownSection", "dsik: {}\n", "F:1:1: dsik: is not a known key; did you mean disk?"},
    {"KeyInTheWrongPlace", "min_free: 5GiB\n", "F:1:1: min_free: is not a known key here; did you mean disk.min_free?"},
    {"NothingNear", "log: {colour: yes}\n", "F:1:7: log.colour: is not a known key; the keys here are level, format"},
    {"DottedKey", "disk.min_free: 5GiB\n",
     "F:1:1: disk.min_free: is not a known key here; did you mean disk.min_free?"},
    {"Twice", "dry_run: true\ndry_run: false\n", "F:2:1: dry_run: is given twice, first on line 1; remove one"},
    {"SectionTwice", "log: {level: info}\nlog: {level: debug}\n",
     "F:2:1: log: is given twice, first on line 1; remove one"},
    {"MergeKey", "log: {<<: {level: info}}\n", "F:1:7: log.<<: is not a known key; the keys here are level, format"},
    {"ListForValue", "dry_run: [true]\n", "F:1:10: dry_run: is a list; write true or false"},
    {"MapForValue", "log: {level: {a: b}}\n", "F:1:14: log.level: is a map; write debug or info or warning or error"},
    {"ValueForSection", "disk: 5GiB\n", "F:1:7: disk: \"5GiB\" is a single value; write keys with their values"},
    {"ValueForList", "disk: {keep: a}\n",
     "F:1:14: disk.keep: \"a\" is a single value; write a list in [ ] of a glob over image references, or over names "
     "after container:, network: or volume: such as example.com/base/* or network:shop_*"},
    {"Nothing", "dry_run:\n", "F:1:1: dry_run: is empty; write true or false"},
    {"QuotedBoolean", "dry_run: \"true\"\n", "F:1:10: dry_run: \"true\" is a text in quotes; write true or false"},
    {"YesIsNotTrue", "dry_run: yes\n",
     "F:1:10: dry_run: \"yes\" is not one of the words known here; write true or false"},
    {"RootIsAList", "- a\n", "F:1:1: is a list; write keys with their values"},
    {"RootIsAWord", "hello\n", "F:1:1: \"hello\" is a single value; write keys with their values"},
    {"KeyIsAList", "? [a]\n: b\n", "F:1:3: a key that is not a word; write KEY: VALUE"},
    {"Size", "disk: {min_free: 5 apples}\n",
     "F:1:18: disk.min_free: \"5 apples\" is neither a size nor a share; write a size such as 5GiB or a share below "
     "100% such as 15%"},
    {"NoUnit", "disk: {min_free: 5, ballast: 0}\n",
     "F:1:18: disk.min_free: \"5\" has no unit; write a size such as 5GiB or a share below 100% such as 15%"},
    {"WholeShare", "disk: {min_free: 100%}\n",
     "F:1:18: disk.min_free: \"100%\" is out of range; write a size such as 5GiB or a share below 100% such as 15%"},
    {"Inodes", "disk: {min_free_inodes: -1}\n",
     "F:1:25: disk.min_free_inodes: \"-1\" is out of range; write a whole number from 0 to 1000000000000"},
    {"HugeNumber", "disk: {min_free_inodes: 99999999999999999999}\n",
     "F:1:25: disk.min_free_inodes: \"99999999999999999999\" is out of range; write a whole number from 0 to "
     "1000000000000"},
    {"NotWhole", "disk: {min_free_inodes: 1.5}\n",
     "F:1:25: disk.min_free_inodes: \"1.5\" is not a whole number; write a whole number from 0 to 1000000000000"},
    {"Duration", "jobs: {ttl: 6}\n",
     "F:1:13: jobs.ttl: \"6\" is not a duration; write a duration from 1s to 30d such as 90s, 4h, 7d or 1h30m"},
    {"DurationRange", "jobs: {admission_wait: 2h}\n",
     "F:1:24: jobs.admission_wait: \"2h\" is out of range; write a duration from 0s to 1h such as 90s, 4h, 7d or "
     "1h30m"},
    {"RelativePath", "paths: {run: run/x}\n",
     "F:1:14: paths.run: \"run/x\" is not an absolute path without ..; write one such as /var/lib/example"},
    {"PathUpwards", "paths: {run: /run/../etc}\n",
     "F:1:14: paths.run: \"/run/../etc\" is not an absolute path without ..; write one such as /var/lib/example"},
    {"CacheFolderIsTheRoot", "disk: {cache_dirs: [/var/./]}\n",
     "F:1:21: disk.cache_dirs[0]: \"/var/./\" is not an absolute path at least two levels deep without ..; write one "
     "such as /var/cache/example"},
    {"ListTwice", "disk: {keep: [a, b, a]}\n", "F:1:21: disk.keep[2]: \"a\" stands in the list twice; remove one"},
    {"Watch", "disk: {watch: all}\n",
     "F:1:15: disk.watch: \"all\" is a single value; write auto, or a list of {path, gate}"},
    {"WatchNothing", "disk: {watch: []}\n",
     "F:1:15: disk.watch: is an empty list; write auto, or a list of {path, gate}"},
    {"WatchWithoutPath", "disk: {watch: [{gate: true}]}\n",
     "F:1:16: disk.watch[0].path: is missing; write the path to watch"},
    {"Platforms", "emulation: {platforms: [arm64]}\n",
     "F:1:25: emulation.platforms[0]: \"arm64\" is not a platform; write one such as linux/arm64 (known: amd64 386 "
     "arm64 arm riscv64 ppc64le s390x mips64 mips64le loong64)"},
    {"PlatformOfNoMachine", "emulation: {platforms: [linux/arm64, linux/arm/v7, linux/foo]}\n",
     "F:1:52: emulation.platforms[2]: \"linux/foo\" is not a platform; write one such as linux/arm64 (known: amd64 386 "
     "arm64 arm riscv64 ppc64le s390x mips64 mips64le loong64)"},
    {"NoOrder", "emulation: {order: []}\n",
     "F:1:20: emulation.order: is empty while platforms are wanted; write [host, image], [host] or [image]"},
    {"TcpWithoutPort", "listen: {tcp: \"127.0.0.1\"}\n",
     "F:1:15: listen.tcp: \"127.0.0.1\" is not IP:PORT (port 0: any free one); write one "
     "such as 127.0.0.1:9847, or \"\""},
    {"TcpPortTooLarge", "listen: {tcp: \"127.0.0.1:65536\"}\n",
     "F:1:15: listen.tcp: \"127.0.0.1:65536\" is not IP:PORT (port 0: any free one); write one "
     "such as 127.0.0.1:9847, or \"\""},
    {"DataRoot", "engine: {data_root: /x}\n",
     "F:1:10: engine.data_root: cannot be set here; it comes from data-root in daemon.json"},
};

INSTANTIATE_TEST_SUITE_P(Table, BadYaml, ::testing::ValuesIn(kBad), [](const auto& at) { return at.param.name; });

const Bad kBadBuilders[] = {
    {"NotAList", "builders: s3\n",
     "F:1:11: builders: \"s3\" is a single value; write a list of maps, each with a - before it"},
    {"EmptyItem", "builders:\n  -\n", "F:2:3: builders[0]: is empty; write keys with their values"},
    {"Name", "builders: [{name: S3}]\n",
     "F:1:19: builders[0].name: \"S3\" is not a builder's name (a-z first, then at most 30 of a-z, 0-9 and -); write "
     "one "
     "such as s3"},
    {"SameName", "builders:\n  - {name: a}\n  - {name: a}\n",
     "F:3:12: builders[1].name: \"a\" is the name or an alias of another builder; write another one"},
    {"AliasIsAName", "builders:\n  - {name: a, aliases: [b]}\n  - {name: b}\n",
     "F:2:24: builders[0].aliases: \"b\" is the name or an alias of another builder; write another one"},
    {"AliasDefault", "builders: [{aliases: [default]}]\n",
     "F:1:23: builders[0].aliases[0]: \"default\" is not an alias (a-z first, then at most 62 of a-z, 0-9, ., _ and -; "
     "not default); write one such as my-builder"},
    {"TwoDefaultNames", "builders:\n  - {cpus: 1}\n  - {cpus: 2}\n",
     "F:3:5: builders[1].name: \"s3\" is the name or an alias of another builder; write another one"},
    {"Memory", "builders: [{memory: 1MiB}]\n",
     "F:1:21: builders[0].memory: \"1MiB\" is not a size of at least 64MiB; write one such as "
     "4GiB, or \"\""},
    {"Cpus", "builders: [{cpus: two}]\n",
     "F:1:19: builders[0].cpus: \"two\" is not a number of CPUs from 0.01 to 4096; write one such "
     "as 1.5, or \"\""},
    {"Foreign", "builders: [{on_foreign: kill}]\n",
     "F:1:25: builders[0].on_foreign: \"kill\" is not one of the words known here; write refuse or adopt"},
    {"CacheShare", "builders: [{cache_share: 0%}]\n",
     "F:1:26: builders[0].cache_share: \"0%\" is out of range; write a size above 0 such as 5GiB or a share above 0% "
     "and below 100% such as 15%"},
    {"CacheType", "builders: [{cache: {type: gcs}}]\n",
     "F:1:27: builders[0].cache.type: \"gcs\" is not one of the words known here; write none or s3 or registry"},
    {"CacheKey", "builders: [{cache: {buckets: x}}]\n",
     "F:1:21: builders[0].cache.buckets: is not a known key; did you mean bucket?"},
    {"S3WithoutBucket", "builders: [{cache: {type: s3}}]\n",
     "F:1:27: builders[0].cache.type: s3 without a bucket; write cache.bucket"},
    {"RegistryWithoutRef", "builders: [{cache: {type: registry}}]\n",
     "F:1:27: builders[0].cache.type: registry without a reference; write cache.ref"},
    {"PrefixWouldBreakTheFlag", "builders: [{cache: {prefix: \"a,b\"}}]\n",
     "F:1:29: builders[0].cache.prefix: \"a,b\" is not a text of letters, digits and . _ / : @ + = -; write one "
     "such as team/cache, or \"\""},
    {"Registry", "builders: [{registries: {docker.io: {mirror: x}}}]\n",
     "F:1:38: builders[0].registries[docker.io].mirror: is not a known key; did you mean mirrors?"},
    {"Mirror", "builders: [{registries: {docker.io: {mirrors: [\"http://m\"]}}}]\n",
     "F:1:48: builders[0].registries[docker.io].mirrors[0]: \"http://m\" is not a mirror's host, without a scheme; "
     "write one such as mirror.gcr.io"},
    {"RunPathTooLong",
     "paths: {run: /run/0123456789012345678901234567890123456789012345678901234567890123456789012345678}\n",
     "F:1:14: paths.run: \"/run/0123456789012345678901234567890123456789012345678901234…\" is 111 bytes, a socket's "
     "path has at most 107; write a shorter one"},
};

INSTANTIATE_TEST_SUITE_P(Builders, BadYaml, ::testing::ValuesIn(kBadBuilders),
                         [](const auto& at) { return at.param.name; });

const Bad kBadOrder[] = {
    {"MinFree", "disk: {min_free: 20GiB, reclaim_below: 20GiB, reclaim_to: 30GiB}\n",
     "F:1:18: disk.min_free: 20GiB is not below disk.reclaim_below 20GiB (yaml); write min_free < "
     "reclaim_below < reclaim_to"},
    {"AgainstADefault", "disk: {reclaim_below: 30%}\n",
     "F:1:23: disk.reclaim_below: 30% is not below disk.reclaim_to 25% (default); write min_free < "
     "reclaim_below < reclaim_to"},
    {"DefaultBelow", "disk: {reclaim_to: 4GiB}\n",
     "F:1:20: disk.reclaim_to: 4GiB is not above disk.min_free 5GiB (default); write min_free < "
     "reclaim_below < reclaim_to"},
    {"Grace", "disk: {grace: 5h}\n",
     "F:1:15: disk.grace: 5h is longer than disk.keep_used_within 4h (default); write at most that"},
    {"KeepIsShort", "disk: {keep_used_within: 5m}\n",
     "F:1:26: disk.keep_used_within: 5m is shorter than disk.grace 10m (default); write at least that"},
    // A key that is wrong by itself is not compared with anything.
    {"NoFollowUp", "disk: {reclaim_below: 30%, reclaim_to: many}\n",
     "F:1:40: disk.reclaim_to: \"many\" is neither a size nor a share; write a size such as 5GiB or a share below 100% "
     "such as 15%"},
};

INSTANTIATE_TEST_SUITE_P(Order, BadYaml, ::testing::ValuesIn(kBadOrder), [](const auto& at) { return at.param.name; });

TEST_F(ConfigTest, NamesAllMistakesAtOnceInTheOrderOfTheFile) {
  request_.overrides["jobs.ttl"] = "x";
  EXPECT_EQ(mistakes_of("log:\n  level: loud\ndisk:\n  grace: 5h\n  min_free: x\nnope: 1\n"),
            "F:2:10: log.level: \"loud\" is not one of the words known here; write debug or info or warning or error\n"
            "F:4:10: disk.grace: 5h is longer than disk.keep_used_within 4h (default); write at most that\n"
            "F:5:13: disk.min_free: \"x\" is neither a size nor a share; write a size such as 5GiB or a share below "
            "100% such as 15%\n"
            "F:6:1: nope: is not a known key; the keys here are dry_run, disk, on_full, builders, emulation, jobs, "
            "prefetch, seeds, instance, agent, paths, engine, listen, log\n"
            "command line: jobs.ttl: \"x\" is not a duration; write a duration from 1s to 30d such as 90s, 4h, 7d or "
            "1h30m");
}

// Issue 14. What lies below the builds is deleted as checkouts where a purge is allowed.
TEST_F(ConfigTest, AFolderThatHoldsMoreThanBuildsIsRefused) {
  for (const auto* builds : {"/", "/etc", "/var"}) {
    EXPECT_THAT(mistakes_of(std::string("paths: { builds: ") + builds + " }\n"), HasSubstr("two levels deep"))
        << builds;
  }
  for (const auto* builds : {"/usr/lib", "//usr//lib/", "/var/lib", "/var/lib/", "/var/./lib", "/etc/systemd"}) {
    EXPECT_THAT(mistakes_of(std::string("paths: { builds: ") + builds + " }\n"),
                HasSubstr("in which nothing is a checkout"))
        << builds;
  }
  EXPECT_THAT(mistakes_of("paths: { builds: /mnt/x, state: /mnt/x/state }\n"),
              HasSubstr("paths.builds: /mnt/x holds paths.state (/mnt/x/state), and what lies in it may be "
                        "deleted as a checkout"));
  EXPECT_THAT(mistakes_of("paths: { builds: /mnt/x//, state: /mnt/x/state }\n"), HasSubstr("holds paths.state"));
  EXPECT_THAT(mistakes_of("paths: { builds: " + file("") + " }\n"), HasSubstr("holds paths.cfn_env"));
  write("daemon_json", R"({"data-root": "/mnt/ephemeral/docker"})");
  EXPECT_THAT(mistakes_of("paths: { builds: /mnt/ephemeral }\n"), HasSubstr("holds engine.data_root"));
  EXPECT_THAT(mistakes_of("paths: { builds: /mnt/ephemeral/docker }\n"), HasSubstr("lies in /mnt/ephemeral/docker"));
  EXPECT_THAT(mistakes_of("paths: { builds: /mnt/ephemeral/docker/volumes }\n"),
              HasSubstr("lies in /mnt/ephemeral/docker"));
  for (const auto* cache : {"/var/lib", "/usr/lib", "/etc/ssl", "/var/lib/dpkg/info"}) {
    EXPECT_THAT(mistakes_of(std::string("disk: { cache_dirs: [") + cache + "] }\n"),
                HasSubstr("in which nothing is ever deleted"))
        << cache;
  }
  EXPECT_EQ(mistakes_of("paths: { builds: /mnt/ephemeral/builds }\n"), "");
}

TEST_F(ConfigTest, AShareThatReadsLikeUsedSpaceIsQuestioned) {
  write("conf.yaml", "disk: { min_free: 10%, reclaim_below: 85%, reclaim_to: 90% }\n");
  EXPECT_EQ(warnings(loaded()),
            "F:1:39: disk.reclaim_below: 85% of each disk are to be free, not used; is that meant?\n"
            "F:1:56: disk.reclaim_to: 90% of each disk are to be free, not used; is that meant?");
}

}  // namespace
}  // namespace buildwarden::config
