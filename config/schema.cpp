#include "config/schema.h"

#include <iterator>

namespace buildwarden::config {
namespace {

using namespace std::chrono_literals;
constexpr Duration kYear = 365 * 24h;
constexpr std::int64_t kManyInodes = 1'000'000'000'000;

const Table<WatchedPath>& watched_table() {
  static const Table<WatchedPath> table = {
      scalar<WatchedPath>("path", in(&WatchedPath::path), absolute_path()),
      scalar<WatchedPath>("gate", in(&WatchedPath::gate), boolean()),
  };
  return table;
}

// auto, or the paths themselves.
Field<Settings> watch_field() {
  auto field = structs<Settings>("disk.watch", in(&Settings::disk, &DiskSettings::watch), watched_table());
  field.hint = "auto, or a list of {path, gate}";
  field.read = [list = field.read](Settings& s, const TreeNode& node, const std::string& path, Layer& layer) {
    if (node.kind == NodeKind::kScalar && node.text == "auto") {
      s.disk.watch.clear();
      layer.decided(path, node);
    } else if (node.kind != NodeKind::kSequence || node.items.empty()) {
      const auto problem =
          node.kind == NodeKind::kSequence ? "is an empty list" : wrong_kind(node, NodeKind::kSequence);
      layer.mistake(node, path, format("{}; write auto, or a list of {{path, gate}}", problem));
    } else {
      list(s, node, path, layer);
    }
  };
  field.show = [list = field.show](const Settings& s, const std::string& path, Rows& rows) {
    if (s.disk.watch.empty()) {
      rows.emplace_back(path, "auto");
    } else {
      list(s, path, rows);
    }
  };
  return field;
}

// all, or a list; an empty one switches emulation off.
Field<Settings> platforms_field() {
  const std::string hint = "all, or a list in [ ] of platforms such as linux/arm64 ([] switches emulation off)";
  Field<Settings> field{"emulation.platforms", hint, "", nullptr, nullptr};
  field.read = [hint, as = platform()](Settings& s, const TreeNode& node, const std::string& path, Layer& layer) {
    auto& emulation = s.emulation;
    const bool all = node.kind == NodeKind::kScalar && node.text == "all";
    if (!all && node.kind != NodeKind::kSequence) {
      layer.mistake(node, path, format("{}; write {}", wrong_kind(node, NodeKind::kSequence), hint));
      return;
    }
    if (all) emulation.platforms.clear();
    if (!all && !read_texts(node, as, emulation.platforms, {path, &layer})) return;
    emulation.all_platforms = all;
    layer.decided(path, node);
  };
  field.show = [](const Settings& s, const std::string& path, Rows& rows) {
    rows.emplace_back(path, s.emulation.all_platforms ? "all" : show_texts(s.emulation.platforms));
  };
  return field;
}

Table<Settings> disk_fields() {
  constexpr auto kDisk = &Settings::disk;
  return {
      scalar<Settings>("dry_run", in(&Settings::dry_run), boolean()),
      watch_field(),
      scalar<Settings>("disk.min_free", in(kDisk, &DiskSettings::min_free), amount(true)),
      scalar<Settings>("disk.min_free_inodes", in(kDisk, &DiskSettings::min_free_inodes), integer(0, kManyInodes)),
      scalar<Settings>("disk.reclaim_below", in(kDisk, &DiskSettings::reclaim_below), amount(true)),
      scalar<Settings>("disk.reclaim_to", in(kDisk, &DiskSettings::reclaim_to), amount(true)),
      scalar<Settings>("disk.rank_by", in(kDisk, &DiskSettings::rank_by), rank_by()),
      scalar<Settings>("disk.keep_used_within", in(kDisk, &DiskSettings::keep_used_within), duration(0s, 10 * kYear)),
      scalar<Settings>("disk.grace", in(kDisk, &DiskSettings::grace), duration(0s, kYear)),
      texts<Settings>("disk.keep", in(kDisk, &DiskSettings::keep), image_glob()),
      texts<Settings>("disk.cache_dirs", in(kDisk, &DiskSettings::cache_dirs), purgeable_path()),
      scalar<Settings>("disk.ballast", in(kDisk, &DiskSettings::ballast), amount(true)),
      scalar<Settings>("on_full.purge_builds", in(&Settings::on_full, &OnFullSettings::purge_builds), boolean()),
      scalar<Settings>("on_full.purge_mirrors", in(&Settings::on_full, &OnFullSettings::purge_mirrors), boolean()),
      scalar<Settings>("on_full.terminate_instance", in(&Settings::on_full, &OnFullSettings::terminate_instance),
                       boolean()),
      scalar<Settings>("on_full.pause_agent", in(&Settings::on_full, &OnFullSettings::pause_agent), boolean()),
      scalar<Settings>("on_full.builder_prune", in(&Settings::on_full, &OnFullSettings::builder_prune), boolean()),
  };
}

Table<Settings> work_fields() {
  constexpr auto kJobs = &Settings::jobs;
  auto order = texts<Settings>("emulation.order", in(&Settings::emulation, &EmulationSettings::order),
                               one_of({"host", "image"}));
  return {
      structs<Settings>("builders", in(&Settings::builders), builder_table()),
      platforms_field(),
      std::move(order),
      scalar<Settings>("emulation.image", in(&Settings::emulation, &EmulationSettings::image), optional_image()),
      scalar<Settings>("jobs.admission_wait", in(kJobs, &JobSettings::admission_wait), duration(0s, 1h)),
      scalar<Settings>("jobs.ttl", in(kJobs, &JobSettings::ttl), duration(1s, 30 * 24h)),
      scalar<Settings>("jobs.check_at_end", in(kJobs, &JobSettings::check_at_end), boolean()),
      scalar<Settings>("jobs.reuse_context", in(kJobs, &JobSettings::reuse_context), boolean()),
      scalar<Settings>("jobs.default_load", in(kJobs, &JobSettings::default_load), boolean()),
      texts<Settings>("prefetch.images", in(&Settings::prefetch, &PrefetchSettings::images), image_reference()),
  };
}

Table<Settings> seed_fields() {
  constexpr auto kSeeds = &Settings::seeds;
  return {
      scalar<Settings>("seeds.location", in(kSeeds, &SeedSettings::location), optional_seed_location()),
      scalar<Settings>("seeds.restore", in(kSeeds, &SeedSettings::restore), boolean()),
      scalar<Settings>("seeds.save", in(kSeeds, &SeedSettings::save), seed_save()),
      scalar<Settings>("seeds.every", in(kSeeds, &SeedSettings::every), duration(1min, kYear)),
      scalar<Settings>("seeds.max_size", in(kSeeds, &SeedSettings::max_size), size(kMiB)),
      scalar<Settings>("seeds.images", in(kSeeds, &SeedSettings::images), integer(0, 50)),
      scalar<Settings>("seeds.restore_timeout", in(kSeeds, &SeedSettings::restore_timeout), duration(1s, 1h)),
      scalar<Settings>("seeds.endpoint_url", in(kSeeds, &SeedSettings::endpoint_url), optional_url()),
  };
}

Table<Settings> instance_fields() {
  constexpr auto kInstance = &Settings::instance;
  constexpr auto kAgent = &Settings::agent;
  return {
      scalar<Settings>("instance.min_uptime", in(kInstance, &InstanceSettings::min_uptime), duration(0s, 30 * 24h)),
      scalar<Settings>("instance.drain_timeout", in(kInstance, &InstanceSettings::drain_timeout),
                       duration(0s, 30 * 24h)),
      scalar<Settings>("instance.decrement", in(kInstance, &InstanceSettings::decrement), boolean()),
      scalar<Settings>("instance.region", in(kInstance, &InstanceSettings::region), optional_region()),
      scalar<Settings>("instance.aws_cli", in(kInstance, &InstanceSettings::aws_cli), program()),
      scalar<Settings>("instance.endpoint_url", in(kInstance, &InstanceSettings::endpoint_url), optional_url()),
      scalar<Settings>("instance.imds_url", in(kInstance, &InstanceSettings::imds_url), url()),
      scalar<Settings>("agent.user", in(kAgent, &AgentSettings::user), user_name()),
      scalar<Settings>("agent.group", in(kAgent, &AgentSettings::group), group_name()),
      scalar<Settings>("agent.unit", in(kAgent, &AgentSettings::unit), optional_service_unit()),
      scalar<Settings>("agent.terminate_after_job", in(kAgent, &AgentSettings::terminate_after_job), boolean()),
  };
}

Field<Settings> path_field(std::string name, std::string PathSettings::* member) {
  return scalar<Settings>(std::move(name), in(&Settings::paths, member), absolute_path());
}

// A fact of the engine that other files tell; shown, but no key.
Field<Settings> told_by_others(Field<Settings> field, std::string where) {
  field.elsewhere = std::move(where);
  return field;
}

Table<Settings> path_fields() {
  return {
      path_field("paths.run", &PathSettings::run),
      path_field("paths.state", &PathSettings::state),
      path_field("paths.images", &PathSettings::images),
      scalar<Settings>("paths.builds", in(&Settings::paths, &PathSettings::builds), purgeable_path()),
      scalar<Settings>("paths.git_mirrors", in(&Settings::paths, &PathSettings::git_mirrors), purgeable_path()),
      path_field("paths.cfn_env", &PathSettings::cfn_env),
      path_field("paths.agent_env", &PathSettings::agent_env),
      path_field("paths.daemon_json", &PathSettings::daemon_json),
      path_field("paths.docker_binfmt_env", &PathSettings::docker_binfmt_env),
      path_field("paths.docker_drop_ins", &PathSettings::docker_drop_ins),
      path_field("paths.binfmt_misc", &PathSettings::binfmt_misc),
      path_field("paths.stack_log", &PathSettings::stack_log),
  };
}

Table<Settings> outside_fields() {
  constexpr auto kEngine = &Settings::engine;
  constexpr auto kListen = &Settings::listen;
  return {
      scalar<Settings>("engine.socket", in(kEngine, &EngineSettings::socket), socket_path()),
      scalar<Settings>("engine.docker_config", in(kEngine, &EngineSettings::docker_config), optional_path()),
      told_by_others(scalar<Settings>("engine.userns_remap", in(kEngine, &EngineSettings::userns_remap), boolean()),
                     "DOCKER_USERNS_REMAP in cfn-env, or userns-remap in daemon.json"),
      told_by_others(scalar<Settings>("engine.data_root", in(kEngine, &EngineSettings::data_root), absolute_path()),
                     "data-root in daemon.json"),
      told_by_others(texts<Settings>("engine.registry_mirrors", in(kEngine, &EngineSettings::registry_mirrors), url()),
                     "registry-mirrors in daemon.json"),
      told_by_others(texts<Settings>("engine.insecure_registries", in(kEngine, &EngineSettings::insecure_registries),
                                     registry_host()),
                     "insecure-registries in daemon.json"),
      scalar<Settings>("listen.socket", in(kListen, &ListenSettings::socket), socket_path()),
      scalar<Settings>("listen.group", in(kListen, &ListenSettings::group), group_name()),
      scalar<Settings>("listen.tcp", in(kListen, &ListenSettings::tcp), optional_endpoint()),
      texts<Settings>("listen.allowed_hosts", in(kListen, &ListenSettings::allowed_hosts), host_name()),
      scalar<Settings>("log.level", in(&Settings::log, &LogSettings::level),
                       one_of({"debug", "info", "warning", "error"})),
      scalar<Settings>("log.format", in(&Settings::log, &LogSettings::format), one_of({"auto", "text", "journald"})),
  };
}

}  // namespace

const Table<Settings>& settings_table() {
  static const Table<Settings> table = [] {
    Table<Settings> all;
    for (auto part :
         {disk_fields(), work_fields(), seed_fields(), instance_fields(), path_fields(), outside_fields()}) {
      all.insert(all.end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
    }
    return all;
  }();
  return table;
}

}  // namespace buildwarden::config
