// All rooms and what connects them, in the order in which they are made: facts, then the reclaimer, then those who act.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/worker.h"
#include "daemon/api/api.h"
#include "daemon/ballast/ballast.h"
#include "daemon/builders/build_history.h"
#include "daemon/builders/builder_images.h"
#include "daemon/builders/buildx_instances.h"
#include "daemon/builders/cache_sizes.h"
#include "daemon/builders/caches.h"
#include "daemon/builders/context_ids.h"
#include "daemon/builders/handout.h"
#include "daemon/builders/reconciler.h"
#include "daemon/builders/worker_facts.h"
#include "daemon/daemon.h"
#include "daemon/disk_status.h"
#include "daemon/emulation/emulation.h"
#include "daemon/emulation/image.h"
#include "daemon/engine/engine.h"
#include "daemon/evictors/anonymous_volumes.h"
#include "daemon/evictors/build_cache.h"
#include "daemon/evictors/cache_dirs.h"
#include "daemon/evictors/cache_trim.h"
#include "daemon/evictors/checkout_sizes.h"
#include "daemon/evictors/checkouts.h"
#include "daemon/evictors/containers.h"
#include "daemon/evictors/deletion_roots.h"
#include "daemon/evictors/docker_configs.h"
#include "daemon/evictors/ending_jobs.h"
#include "daemon/evictors/git_mirrors.h"
#include "daemon/evictors/images.h"
#include "daemon/evictors/images_and_caches.h"
#include "daemon/evictors/mirror_seed_leftovers.h"
#include "daemon/evictors/mirror_users.h"
#include "daemon/evictors/networks.h"
#include "daemon/evictors/orphaned_builders.h"
#include "daemon/evictors/trash_folders.h"
#include "daemon/filesystems/disk_monitor.h"
#include "daemon/filesystems/disk_usage.h"
#include "daemon/filesystems/filesystem_table.h"
#include "daemon/filesystems/folder_sizes.h"
#include "daemon/filesystems/image_store.h"
#include "daemon/filesystems/path_sampler.h"
#include "daemon/instance/last_resort.h"
#include "daemon/instance/termination.h"
#include "daemon/jobs/admission_controller.h"
#include "daemon/jobs/agent_lock.h"
#include "daemon/jobs/lease_registry.h"
#include "daemon/jobs/running_jobs.h"
#include "daemon/last_use/buildx_builder_use.h"
#include "daemon/last_use/last_use_ledger.h"
#include "daemon/last_use/last_use_recorder.h"
#include "daemon/last_use/network_use.h"
#include "daemon/last_use/savings_ledger.h"
#include "daemon/prefetch/prefetch.h"
#include "daemon/reclaim/idle_cache_collector.h"
#include "daemon/reclaim/network_collector.h"
#include "daemon/reclaim/reclaimer.h"
#include "daemon/reload.h"
#include "daemon/reload_loop.h"
#include "daemon/seeds/seeds.h"
#include "daemon/service.h"
#include "daemon/state/lease_file.h"
#include "daemon/state/operation_file.h"
#include "daemon/state/state_store.h"
#include "daemon/telemetry/event_keeper.h"
#include "daemon/telemetry/event_log.h"
#include "daemon/telemetry/loop_probe.h"
#include "daemon/telemetry/metrics.h"

namespace buildwarden {

// What jobs, builders and emulation hold, as one: whoever deletes asks this.
class AllInUse final : public ports::InUse {
 public:
  using HeldImages = std::function<std::set<std::string>()>;
  AllInUse(const ports::InUse& jobs, const ports::InUse& builders, HeldImages of_emulation)
      : jobs_(jobs), builders_(builders), of_emulation_(std::move(of_emulation)) {}
  [[nodiscard]] ports::InUseSet now() const override;

 private:
  const ports::InUse& jobs_;
  const ports::InUse& builders_;
  HeldImages of_emulation_;
};

struct Daemon::Components {
  Components(boost::asio::io_context& on, Start from);

  boost::asio::io_context& loop;
  config::Loaded loaded;
  config::LoadRequest request;
  PassedSockets passed;
  const Settings& settings = loaded.settings;
  std::optional<gid_t> agent;  // the group of the builders' sockets; root's alone without it
  std::optional<gid_t> api_group;
  const std::string unknown_account;  // at the start, as buildwarden::unknown_account() has it

  SystemClock clock;
  telemetry::EventLog journal;
  WorkerPool workers;
  WorkerPool trees;      // looks through and removes what lies in folders of jobs
  WorkerPool processes;  // looks at the processes of jobs that start
  WorkerPool foreign;    // reads what others may make: a read of theirs that hangs keeps nothing else waiting
  WorkerPool seed_work;  // looks at the volumes that seeds go into
  engine::Engine engine;
  state::StateStore store;
  telemetry::EventKeeper event_keeper;
  state::LeaseFile lease_store;
  state::OperationFile operation_store;

  builders::ContextIds context_ids;
  builders::Handout handout;
  jobs::LeaseRegistry registry;
  jobs::RunningJobs running_jobs;
  jobs::AgentLock agent_lock;
  disk::LastUseLedger ledger;
  disk::BuildxBuilderUse builder_use;
  disk::SavingsLedger savings;
  disk::WorthLedger worth;
  disk::LastUseRecorder last_use_recorder;
  builders::Caches builder_caches;
  builders::CacheSizes cache_sizes;
  builders::WorkerFactsKeeper worker_facts;
  builders::BuilderImages builder_images;
  builders::BuildHistories build_histories;
  builders::Reconciler reconciler;
  AllInUse in_use;
  builders::BuildxInstances buildx_instances;

  disk::ImageStore image_store;
  disk::PathSampler sampler;
  disk::FilesystemTable filesystems;
  disk::DeletionRoots deletion_roots;
  disk::TrashFolders trash_folders;
  disk::CacheDirs cache_dirs;
  disk::DockerConfigs docker_configs;
  disk::NetworkUse network_use;
  disk::EndedContainers ended_containers;
  disk::EmptyNetworks empty_networks;
  disk::AnonymousVolumes anonymous_volumes;
  disk::Ballast ballast;
  disk::DanglingImages dangling_images;
  disk::BuildCacheEvictor build_cache;
  disk::UnusedImages unused_images;
  disk::BuildCacheEvictor build_cache_share;
  disk::ImagesAndCaches images_and_caches;
  disk::OrphanedBuilders orphaned_builders;
  disk::CheckoutSizes checkout_sizes;
  disk::EndingJobs ending_jobs;
  disk::Checkouts checkouts;
  disk::MirrorUsers mirror_users;
  disk::GitMirrors git_mirrors;
  disk::MirrorSeedLeftovers mirror_seed_leftovers;
  instance::LastResort last_resort;
  std::map<std::string, std::unique_ptr<disk::BuildCacheEvictor>> idle_cache_evictors;  // rung 6 of one builder each
  disk::Reclaimer reclaimer;
  disk::DiskUsage disk_usage;
  disk::FolderSizes folder_sizes;
  DiskStatus disk_status;
  disk::DiskMonitor disk_monitor;
  disk::IdleCacheCollector idle_cache_collector;
  disk::NetworkCollector network_collector;

  prefetch::Prefetch prefetch;
  seeds::Seeds seeds;
  emulation::ImageRegistrar binfmt_image;
  emulation::Emulation emulation;
  instance::Termination termination;
  jobs::AdmissionController admission_controller;
  Service service;
  Reload reload;
  ReloadLoop reload_loop;
  telemetry::Metrics metrics;
  telemetry::LoopProbe probe;
  api::Api api;
  std::string where;  // it answers; for people

  Result<void> open();
  void run();
  boost::asio::awaitable<void> end();
  [[nodiscard]] std::vector<ports::NotReady> not_ready() const;
  // What others see without asking: the file `active` and the line that systemd shows. Soon after each event, and now
  // and then.
  boost::asio::awaitable<void> keep_outside_informed();

 private:
  Result<void> open_passed_sockets();
  Result<void> open_own_sockets();
  void listen_to_engine();
  // What rooms want of others that are made after them.
  void connect_rooms();
  void inform_outside();
  void note_mounts();
  // Rooms that hold copies of settings get the new ones.
  void apply_settings();
  [[nodiscard]] Reload::Parts reload_parts();
  // `active` exists while the daemon is at work and not in dry run; units of the stack stand down by it.
  void update_active_file(const std::vector<ports::NotReady>& missing);
  [[nodiscard]] api::ApiContext api_context();
  [[nodiscard]] disk::BuildCacheEvictor::Parts build_cache_parts();
  [[nodiscard]] std::vector<disk::CacheSource> cache_sources();
  [[nodiscard]] std::vector<disk::CacheSource> cache_source_of(const std::string& builder) const;
  [[nodiscard]] std::vector<disk::IdleCacheCollector::Source> idle_sources();
  [[nodiscard]] emulation::Emulation::Parts emulation_parts();
  [[nodiscard]] seeds::SeedParts seed_parts();
  ports::Async<std::string> bring_down_cache(std::string builder, Bytes most);
  ports::Async<void> forget_builds(std::string builder);
  [[nodiscard]] std::string own_name() const;
  [[nodiscard]] instance::Termination::Parts termination_parts(const policy::TerminationTimes& times);
  [[nodiscard]] std::optional<Bytes> cache_bytes(const std::string& builder) const;
  // Why it cannot be asked for anything; "" when it can.
  [[nodiscard]] std::string engine_away() const;
  [[nodiscard]] bool is_healing(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> warm_builders() const;
  [[nodiscard]] jobs::AgentOnHost agent_on_host() const;
  [[nodiscard]] bool is_agents_disk_short() const;
  // Of last uses, costs and savings, which are kept in one database: the first that could not be kept; "" for none.
  [[nodiscard]] std::string ledger_error() const;
  [[nodiscard]] bool is_builders_volume(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> engine_folders() const;
  // "" when it is not known.
  [[nodiscard]] std::string device_of(ports::Kept kept) const;

  boost::asio::steady_timer outside_timer_;
  bool outside_is_stale_ = true;  // something happened since inform_outside()
  std::shared_ptr<void> outside_follows_;
  std::optional<bool> active_;
  const Now started_ = clock.now();
  bool stopping_ = false;
};

}  // namespace buildwarden
