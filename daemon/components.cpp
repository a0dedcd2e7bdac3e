#include "daemon/components.h"

#include <string>
#include <utility>

#include "common/atomic_file.h"
#include "common/format.h"
#include "common/log.h"
#include "daemon/identity.h"
#include "daemon/logging.h"
#include "daemon/revision.h"

namespace buildwarden {
namespace {

// Two: an image list that is being parsed does not keep a small file waiting.
constexpr std::size_t kWorkers = 2;
// Two: a filesystem of a job's own in such a folder may keep one waiting.
constexpr std::size_t kTreeWorkers = 2;
// Each reader of foreign files asks for one thing at a time, so that one that hangs leaves a thread to most others.
constexpr std::size_t kForeignReaders = 4;
// One: what a job's process keeps waiting costs the next job its second, and nobody else anything.
constexpr std::size_t kProcessReaders = 1;

// One builder's seed is restored while another's is looked for.
constexpr std::size_t kSeedWorkers = 2;

constexpr auto kProbeAtWork = std::chrono::milliseconds{20};  // plans are what may hold up the loop

std::optional<gid_t> group_or_root(Result<gid_t> group, std::string_view what) {
  if (group) return *group;
  log_warning(format("{}: {}; only root may use it until then", what, group.error().message()));
  return std::nullopt;
}

// A machine whose agent is installed but whose parameters are not read yet must not act on defaults. That the file is
// there is not enough: it may be half written, and what it says counts from the reload on that follows.
bool are_wishes_unknown(const config::Loaded& loaded) {
  return !loaded.cfn_env_read && is_unit_installed(loaded.settings.agent.unit);
}

std::string boot_id() {
  auto found = state::read_boot_id(state::kBootId);
  if (!found) log_warning(found.error().message());
  return std::move(found).value_or("");
}

builders::ReconcilerSettings reconciler_settings(const Settings& settings, std::optional<gid_t> agent) {
  builders::ReconcilerSettings result;
  result.builders = settings.builders;
  result.paths = settings.paths;
  result.agent_group = agent.value_or(0);
  result.userns_remap = settings.engine.userns_remap;
  result.dry_run = settings.dry_run;
  return result;
}

}  // namespace

ports::InUseSet AllInUse::now() const {
  auto all = jobs_.now();
  auto more = builders_.now();
  all.image_references.merge(more.image_references);
  all.image_references.merge(of_emulation_());
  all.container_names.merge(more.container_names);
  if (more.oldest_job_start && (!all.oldest_job_start || *more.oldest_job_start < *all.oldest_job_start)) {
    all.oldest_job_start = more.oldest_job_start;
  }
  return all;
}

Daemon::Components::Components(boost::asio::io_context& on, Start from)
    : loop(on),
      loaded(std::move(from.loaded)),
      request(std::move(from.request)),
      passed(std::move(from.passed)),
      agent(group_or_root(agent_group(settings.agent), "the builders' sockets")),
      api_group(group_or_root(socket_group(settings.listen, settings.agent), "the API's socket")),
      unknown_account(buildwarden::unknown_account(settings)),
      journal(clock),
      workers(kWorkers),
      trees(kTreeWorkers),
      processes(kProcessReaders),
      foreign(kForeignReaders),
      seed_work(kSeedWorkers),
      engine(settings.engine,
             {workers, clock, journal,
              [this](const std::string& method, const std::string& route, std::chrono::duration<double> took) {
                metrics.engine_asked(method, route, took);
              }}),
      store(settings.paths.state, clock, journal),
      event_keeper(loop.get_executor(), journal, store, clock),
      lease_store({settings.paths.run}, clock, journal),
      operation_store({settings.paths.run}, clock, journal),
      context_ids(settings.paths.state, {workers, journal}),
      handout(settings.builders, settings.paths, &context_ids),
      registry(loop.get_executor(), {clock, journal, lease_store, handout}),
      running_jobs({registry, foreign, clock, [this] { return agent_on_host(); }}),
      ledger(clock, store, journal),
      builder_use({ledger, engine, clock}),
      savings({clock, store}),
      worth({clock, store, workers, &savings, [this] { return settings.jobs.reuse_context; }}),
      last_use_recorder(
          {ledger, engine, engine, clock, workers, &builder_use, [this] { return prefetch.pulling(); }, &worth}),
      builder_caches(settings.builders, {engine, engine, workers}),
      cache_sizes([this] { return builder_caches.current(); }, clock),
      worker_facts({engine, engine, [this] { return warm_builders(); }}),
      builder_images([this] { return builder_caches.current(); }),
      build_histories([this] { return builder_caches.current(); }, {handout, journal, settings, &worth}),
      reconciler(loop.get_executor(), reconciler_settings(settings, agent),
                 {engine, engine, engine, engine, engine, engine, journal, clock, handout, workers,
                  [this](const std::string& builder) { return cache_bytes(builder); },
                  [this](const std::string& builder) { return worker_facts.of(builder); },
                  [this](const std::string& builder) { return seeds.awaited(builder); },
                  [this](const std::string& builder) { return seeds.holds(builder); }}),
      in_use(registry, reconciler, [this] { return emulation.held_images(); }),
      buildx_instances(foreign,
                       [user = settings.agent.user] { return builders::homes_of_people("/etc/passwd", user); }),
      image_store({settings, engine, journal, foreign, {}, [this] { disk_monitor.look_now(); }}),
      sampler(std::make_shared<disk::MountTable>("/proc/self/mountinfo"), {}),
      filesystems({settings, clock, sampler, [this] { return image_store.home(); }}),
      deletion_roots({settings, journal}),
      trash_folders({settings, clock, trees}),
      cache_dirs({settings, clock, trees, [this] { return engine_folders(); },
                  [this] { return disk_monitor.clock_is_steady_for(settings.disk.keep_used_within); }}),
      docker_configs({clock, trees, registry}),
      network_use(clock),
      ended_containers({engine, engine, engine, in_use, clock,
                        [this] { return disk_monitor.clock_is_steady_for(settings.disk.keep_used_within); },
                        [this](ports::Kept kept) { return device_of(kept); }}),
      empty_networks({engine, engine, engine, network_use, clock}),
      anonymous_volumes({engine, engine, engine, ledger, clock}),
      ballast({settings, clock, journal, filesystems, [this] { return are_wishes_unknown(loaded); },
               disk::work_on_ballast}),
      dangling_images({engine, engine, engine, in_use, ledger, clock}),
      build_cache(policy::RungId::kBuildCache, build_cache_parts()),
      unused_images({engine, engine, engine, in_use, ledger, clock}, {&worth, settings, workers, &worth}),
      build_cache_share(policy::RungId::kBuildCacheShare, build_cache_parts()),
      images_and_caches({unused_images, build_cache, [this] { return device_of(ports::Kept::kImages); }}),
      orphaned_builders({engine, engine, engine, engine, in_use, buildx_instances, ledger, clock}),
      checkout_sizes({settings, clock, [this] { return is_agents_disk_short(); }}),
      ending_jobs({settings, clock, trees, journal, running_jobs, disk_status, reclaimer}),
      checkouts({settings, clock, trees, journal, running_jobs, registry, agent_lock, checkout_sizes,
                 [this] { return disk_monitor.clock_is_steady_for(settings.disk.grace); },
                 [this] { return ending_jobs.given_up(); }, [this] { return worth.rates(); }}),
      mirror_users({settings, trees, running_jobs}),
      git_mirrors({settings, clock, trees, mirror_users,
                   [this] { return disk_monitor.clock_is_steady_for(settings.disk.grace); }}),
      mirror_seed_leftovers({settings, clock, trees,
                             [this] { return disk_monitor.clock_is_steady_for(settings.disk.keep_used_within); }}),
      last_resort({settings, clock, disk_status, termination}),
      reclaimer({settings,
                 clock,
                 journal,
                 in_use,
                 filesystems,
                 {&trash_folders, &cache_dirs, &mirror_seed_leftovers, &docker_configs, &ended_containers,
                  &empty_networks, &anonymous_volumes, &dangling_images, &build_cache, &unused_images,
                  &build_cache_share, &images_and_caches, &orphaned_builders, &checkouts, &git_mirrors, &last_resort},
                 {},
                 [this] { return are_wishes_unknown(loaded); },
                 {},
                 &workers,
                 [this] { return engine_away(); }}),
      disk_usage({engine, engine, reconciler, clock, workers}),
      folder_sizes({settings, clock, filesystems, engine, [this] { return image_store.home(); },
                    [this](const std::string& volume) { return is_builders_volume(volume); }}),
      disk_status({filesystems, reclaimer, disk_usage, [this] { return ledger_error(); },
                   [this] { return checkout_sizes.users(); }, &deletion_roots, [this] { return image_store.view(); },
                   [this](const std::string& device) { return folder_sizes.users_on(device); },
                   [this] { return settings.on_full.purge_builds; }}),
      disk_monitor({settings, clock, journal, filesystems, reclaimer, disk_usage,
                    [this](const ports::FilesystemSnapshot& filesystem) { return reclaimer.can_free(filesystem); },
                    [this](const boost::asio::any_io_executor& on) { ballast.turn(on); }, settings.paths.run,
                    boot_id()}),
      idle_cache_collector({[this] { return idle_sources(); }, reconciler, disk_status, reclaimer, clock, settings}),
      network_collector({settings, reclaimer, empty_networks}),
      prefetch({settings, engine, engine, engine, builder_images, reconciler, disk_status, journal, clock,
                random_jitter(), &worth}),
      seeds(loop.get_executor(), seed_parts()),
      binfmt_image({engine, engine, engine, engine, settings.paths.images}),
      emulation(emulation_parts()),
      termination(termination_parts(from.termination_times)),
      admission_controller(
          settings.jobs, registry,
          {clock, journal, handout, disk_status, reclaimer, &emulation, &agent_lock, &termination, &processes}),
      reload(reload_parts()),
      reload_loop(loop.get_executor(),
                  {reload, foreign, [this] { return config::files_of(request, settings); }, [this] { note_mounts(); }}),
      metrics({&disk_status, &reconciler, &registry, &engine, &journal, &reload, &emulation, &termination, &seeds,
               &savings},
              BUILDWARDEN_VERSION, std::string(revision())),
      probe(
          loop.get_executor(), [this](std::chrono::duration<double> lateness) { metrics.loop_stalled(lateness); },
          [this] { return reclaimer.busy() ? kProbeAtWork : kIdleTick; }),
      api(loop.get_executor(), api_context()),
      outside_timer_(loop) {
  listen_to_engine();
  connect_rooms();
}

void Daemon::Components::connect_rooms() {
  // Whoever wants to build ends a save of that builder's seed.
  handout.ask_healing([this](const std::string& builder) { return seeds.give_up(builder) || is_healing(builder); });
  handout.ask_withheld([this](const std::string& builder) {
    seeds.give_up(builder);
    return reconciler.why_withheld(builder);
  });
  handout.wait_for_seeds([this](std::string builder, ports::Progress progress) {
    return seeds.wait_for(std::move(builder), std::move(progress));
  });
  registry.on_job([this](const ports::Lease& lease, bool is_over) {
    if (is_over) {
      savings.job_over(lease);
    } else {
      savings.job_runs(lease);
    }
  });
  handout.on_left([this](const std::string& builder) { build_histories.left(builder); });
  outside_follows_ = journal.subscribe([this](const ports::RecordedEvent& recorded) {
    if (recorded.event.kind == "disk.level") termination.look_now();
    const auto& kind = recorded.event.kind;
    if (kind == "builder.state" || kind == "builder.healed") worker_facts.look_now();
    if (!std::exchange(outside_is_stale_, true)) outside_timer_.cancel();
  });
}

void Daemon::Components::listen_to_engine() {
  engine.on_event([this](const ports::EngineEvent& event) {
    last_use_recorder.on_event(event);
    network_use.on_event(event);
    seeds.on_engine_event(event);
  });
  engine.on_connected([this](const ports::EngineIdentity& identity, std::optional<Duration> gap) {
    last_use_recorder.on_connected(identity, gap);
    network_use.on_connected();
    image_store.look_now();
    emulation.look_now();
  });
  engine.on_lost([this](const std::string&) {
    last_use_recorder.on_lost();
    network_use.on_lost();
  });
}

std::vector<ports::NotReady> Daemon::Components::not_ready() const {
  std::vector<ports::NotReady> missing;
  const auto status = engine.status();
  if (!status.up) missing.push_back({"engine", status.reason});
  if (!unknown_account.empty()) missing.push_back({"config", unknown_account});
  for (const auto& filesystem : disk_status.disk_view().filesystems) {
    if (!filesystem.error.empty()) missing.push_back({"disk " + filesystem.mount, filesystem.error});
    if (!filesystem.marks.mistake.empty()) {
      missing.push_back({"config", format("{}: {}", filesystem.mount, filesystem.marks.mistake)});
    }
  }
  if (auto part = reload.not_ready()) missing.push_back(*std::move(part));
  for (auto& part : reconciler.not_ready()) missing.push_back(std::move(part));
  for (auto& part : emulation.not_ready()) missing.push_back(std::move(part));
  for (auto& part : termination.not_ready()) missing.push_back(std::move(part));
  return missing;
}

Reload::Parts Daemon::Components::reload_parts() {
  return {loaded,
          request,
          clock,
          journal,
          foreign,
          [this] { apply_settings(); },
          [this](bool begins) { begins ? service.reloading() : service.ready(); },
          [this] { return are_wishes_unknown(loaded); }};
}

instance::Termination::Parts Daemon::Components::termination_parts(const policy::TerminationTimes& times) {
  return {settings, clock, journal, disk_status, engine, running_jobs, times, boot_id()};
}

void Daemon::Components::note_mounts() {
  disk_monitor.mounts_changed();
  deletion_roots.look_now();
}

void Daemon::Components::apply_settings() {
  configure_log(settings.log);
  handout.reconfigure(settings.builders);
  builder_caches.reconfigure(settings.builders);
  reconciler.reconfigure(settings.builders, settings.engine.userns_remap, settings.dry_run);
  admission_controller.reconfigure(settings.jobs);
  reclaimer.settings_changed();
  disk_monitor.look_now();
  deletion_roots.look_now();
  prefetch.look_now();
  seeds.reconfigure();
  emulation.look_now();
  termination.look_now();
  inform_outside();
}

}  // namespace buildwarden
