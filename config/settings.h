// Every setting of the daemon as plain values; the defaults are the initialisers. Readers fill it, everyone else reads
// it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/units.h"

namespace buildwarden {

struct WatchedPath {
  std::string path;
  bool gate = true;  // whether its filesystem admits jobs and may lead to a termination
};

// Of what may go: the least worth first, or what was used longest ago.
enum class RankBy : std::uint8_t { kValue, kLastUse };

struct DiskSettings {
  std::vector<WatchedPath> watch;  // empty: `auto`, what the engine and the jobs live on
  Amount min_free = Amount::bytes(5 * kGiB);
  std::int64_t min_free_inodes = 250'000;
  Amount reclaim_below = Amount::share(0.15);
  Amount reclaim_to = Amount::share(0.25);
  RankBy rank_by = RankBy::kValue;
  Duration keep_used_within = std::chrono::hours{4};
  Duration grace = std::chrono::minutes{10};
  // Patterns as policy::KeepPatterns takes them; with container:, network: or volume: before it, over the names of
  // such.
  std::vector<std::string> keep;
  std::vector<std::string> cache_dirs;
  Amount ballast = Amount::bytes(kGiB);
};

struct OnFullSettings {
  bool purge_builds = false;
  bool purge_mirrors = false;
  bool terminate_instance = false;
  bool pause_agent = true;
  bool builder_prune = false;
};

enum class OnForeign : std::uint8_t { kRefuse, kAdopt };
enum class CacheType : std::uint8_t { kNone, kS3, kRegistry };
enum class SeedSave : std::uint8_t { kNever, kIdle, kDrain };

struct CacheSettings {
  CacheType type = CacheType::kNone;
  std::string bucket;
  std::string region;
  std::string prefix;
  std::string ref;
  std::string mode = "max";  // max | min
  std::string endpoint_url;
  bool use_path_style = false;
  bool ignore_error = true;

  friend bool operator==(const CacheSettings&, const CacheSettings&) = default;
};

struct RegistrySettings {
  std::vector<std::string> mirrors;
  std::string ca;  // a path
  bool insecure = false;
  bool http = false;  // it is asked without TLS

  friend bool operator==(const RegistrySettings&, const RegistrySettings&) = default;
};

struct BuilderSettings {
  std::string name = "s3";
  std::string image = "moby/buildkit:buildx-stable-1";
  std::vector<std::string> aliases;
  Amount cache_share = Amount::share(0.30);
  std::int64_t max_parallelism = 0;  // 0: BuildKit's own default
  std::string memory;                // a size; "" = no limit
  std::string cpus;                  // a decimal number; "" = no limit
  OnForeign on_foreign = OnForeign::kRefuse;
  std::vector<std::string> buildkitd_flags;
  std::map<std::string, RegistrySettings> registries;  // by registry host
  std::map<std::string, std::string> env;  // of buildkitd; may hold a proxy's password, so no value is shown as it is
  std::string network;                     // "": the engine's default; host
  std::string runtime;                     // of its containers; "": the engine's default
  std::vector<std::string> dns;            // addresses
  std::vector<std::string> extra_hosts;    // "name:address" or "name:host-gateway"
  std::string buildkitd_toml;              // a file of root's, merged into ours; "": none
  std::string buildkitd_text;              // what stood in it when it was read, checked; not a key of the YAML
  CacheSettings cache;
  bool seed = true;  // whether seeds are restored to it and made of it, where there is a place for them

  friend bool operator==(const BuilderSettings&, const BuilderSettings&) = default;
};

struct EmulationSettings {
  bool all_platforms = true;
  std::vector<std::string> platforms;  // when not all; empty: emulation is off
  std::vector<std::string> order = {"host", "image"};
  std::string image;
};

struct JobSettings {
  Duration admission_wait = std::chrono::minutes{2};
  Duration ttl = std::chrono::hours{6};
  bool check_at_end = false;
  bool reuse_context = false;
  bool default_load = false;  // an image that is built and tagged is also loaded into the engine
};

struct PrefetchSettings {
  std::vector<std::string> images;
};

// Archives of builders' volumes, from which those of new instances begin.
struct SeedSettings {
  std::string location;  // "s3://bucket/prefix", or a folder; "": none
  bool restore = true;
  SeedSave save = SeedSave::kNever;
  Duration every = std::chrono::hours{6};
  Bytes max_size = 20 * kGiB;  // of what is unpacked
  std::int64_t images = 0;     // of the engine, that a seed lists and a new instance fetches
  Duration restore_timeout = std::chrono::minutes{2};
  std::string endpoint_url;  // of S3; "": that of AWS
};

struct InstanceSettings {
  Duration min_uptime = std::chrono::minutes{10};
  Duration drain_timeout{0};  // 0: wait for jobs for ever
  bool decrement = true;
  std::string region;
  std::string aws_cli = "aws";
  std::string endpoint_url;
  std::string imds_url = "http://169.254.169.254";
};

struct AgentSettings {
  std::string user = "buildkite-agent";          // a name or a number
  std::string group = "auto";                    // auto: the user's; or a name or a number
  std::string unit = "buildkite-agent.service";  // "": no agent on this machine
  bool terminate_after_job = false;              // it ends after one job, and its unit then terminates the instance
};

struct PathSettings {
  std::string run = "/run/buildwarden";
  std::string state = "/var/lib/buildwarden";
  std::string images = "/usr/share/buildwarden/images";
  std::string builds = "/var/lib/buildkite-agent/builds";
  std::string git_mirrors = "/var/lib/buildkite-agent/git-mirrors";  // the agent's git-mirrors-path
  std::string cfn_env = "/var/lib/buildkite-agent/cfn-env";
  std::string agent_env = "/var/lib/buildkite-agent/env";
  std::string daemon_json = "/etc/docker/daemon.json";
  std::string docker_binfmt_env = "/etc/docker-binfmt.env";
  std::string docker_drop_ins = "/etc/systemd/system/docker.service.d";  // a folder
  std::string binfmt_misc = "/proc/sys/fs/binfmt_misc";
  std::string stack_log = "/var/log/elastic-stack.log";
};

struct EngineSettings {
  std::string socket = "/var/run/docker.sock";
  std::string docker_config;                  // a folder with config.json: credentials for pulls
  bool userns_remap = false;                  // from DOCKER_USERNS_REMAP or daemon.json; not a key of the YAML
  std::string data_root = "/var/lib/docker";  // from daemon.json until the engine says better; not a key of the YAML
  // From daemon.json, as it spells them; not keys of the YAML.
  std::vector<std::string> registry_mirrors;     // URLs, of Docker Hub
  std::vector<std::string> insecure_registries;  // hosts; networks are left out
};

struct ListenSettings {
  std::string socket = "/run/buildwarden/api.sock";
  std::string group = "auto";          // auto: the agent's
  std::string tcp = "127.0.0.1:9847";  // "": none
  std::vector<std::string> allowed_hosts;
};

struct LogSettings {
  std::string level = "info";   // debug | info | warning | error
  std::string format = "auto";  // auto | text | journald
};

struct Settings {
  bool dry_run = false;
  DiskSettings disk;
  OnFullSettings on_full;
  std::vector<BuilderSettings> builders = {BuilderSettings{}};
  EmulationSettings emulation;
  JobSettings jobs;
  PrefetchSettings prefetch;
  SeedSettings seeds;
  InstanceSettings instance;
  AgentSettings agent;
  PathSettings paths;
  EngineSettings engine;
  ListenSettings listen;
  LogSettings log;
};

}  // namespace buildwarden
