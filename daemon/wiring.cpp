// What the rooms ask of one another, as functions: each room knows only what it is given.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "common/format.h"
#include "daemon/components.h"
#include "daemon/identity.h"

namespace buildwarden {

std::vector<disk::CacheSource> Daemon::Components::cache_source_of(const std::string& builder) const {
  auto* cache = builder_caches.find(builder);
  const auto wanted = std::find_if(settings.builders.begin(), settings.builders.end(),
                                   [&builder](const BuilderSettings& one) { return one.name == builder; });
  if (cache == nullptr || wanted == settings.builders.end()) return {};
  return {
      {"builder:" + builder, format("builder {}'s build cache", builder), cache, wanted->cache_share, false, builder}};
}

// The engine's own cache has no share in the configuration: the first builder's is taken for it, too.
std::vector<disk::CacheSource> Daemon::Components::cache_sources() {
  const auto own_share = settings.builders.empty() ? BuilderSettings{}.cache_share : settings.builders[0].cache_share;
  std::vector<disk::CacheSource> sources{{"engine", "the engine's build cache", &engine, own_share, true}};
  for (const auto& builder : settings.builders) {
    for (auto& source : cache_source_of(builder.name)) sources.push_back(std::move(source));
  }
  return sources;
}

disk::BuildCacheEvictor::Parts Daemon::Components::build_cache_parts() {
  return {[this] { return cache_sources(); },
          engine,
          in_use,
          filesystems,
          journal,
          settings,
          clock,
          workers,
          [this](Duration time) { return disk_monitor.clock_is_steady_for(time); },
          &worth,
          &worth};
}

// An evictor is made when its builder is first seen, and stays: a collection may be at it.
std::vector<disk::IdleCacheCollector::Source> Daemon::Components::idle_sources() {
  std::vector<disk::IdleCacheCollector::Source> sources;
  for (const auto& builder : settings.builders) {
    auto& rung = idle_cache_evictors[builder.name];
    if (!rung) {
      auto parts = build_cache_parts();
      parts.sources = [this, name = builder.name] { return cache_source_of(name); };
      rung = std::make_unique<disk::BuildCacheEvictor>(policy::RungId::kBuildCacheShare, std::move(parts));
    }
    sources.push_back({builder.name, rung.get(), builder.cache_share});
  }
  return sources;
}

emulation::Emulation::Parts Daemon::Components::emulation_parts() {
  return {settings,
          clock,
          journal,
          workers,
          engine,
          [this](std::string image, std::vector<std::string> platforms) {
            return binfmt_image.install(std::move(image), std::move(platforms));
          },
          [this] { worker_facts.ask_again(); }};
}

seeds::SeedParts Daemon::Components::seed_parts() {
  return {settings,
          clock,
          journal,
          seed_work,
          engine,
          engine,
          engine,
          engine,
          engine,
          engine,
          reconciler,
          disk_status,
          [this](std::string builder) { return forget_builds(std::move(builder)); },
          [this](const std::string& builder) { reconciler.look_now(builder); },
          [this](const std::string& builder) { return reconciler.fresh_volume(builder); },
          [this](const std::string& builder, int volume) { reconciler.use_volume(builder, volume); },
          [this](std::string builder, Bytes most) { return bring_down_cache(std::move(builder), most); },
          &worth,
          [this](const std::vector<std::string>& images) { prefetch.fetch_for_seed(images); },
          [this] {
            const auto state = termination.termination_view().state;
            return state >= policy::TerminationState::kDraining && state <= policy::TerminationState::kDone;
          },
          [this] { return own_name(); },
          [this](const std::string& builder, const std::string& operation, const std::string& result, Duration took) {
            metrics.seed_finished({builder, operation, result}, took);
          }};
}

ports::Async<std::string> Daemon::Components::bring_down_cache(std::string builder, Bytes most) {
  auto* cache = builder_caches.find(builder);
  if (cache == nullptr) co_return Error(Errc::kNotFound, format("no builder \"{}\"", builder));
  disk::CacheTrim trim{*cache, builder, worth, settings.jobs.reuse_context, workers, clock, filesystems, journal};
  const auto done = co_await disk::trim_cache(std::move(trim), most);
  if (!done) co_return done.error();
  static_cast<void>(co_await cache->measure());
  co_return format("for seeds.max_size {} of its cache with {} left out, what is worth least first",
                   counted(done->records, "record"), format_bytes(done->bytes));
}

ports::Async<void> Daemon::Components::forget_builds(std::string builder) {
  auto* cache = builder_caches.find(builder);
  if (cache == nullptr) co_return Error(Errc::kNotFound, format("no builder \"{}\"", builder));
  co_return co_await cache->forget_builds();
}

// For people, in what outlives the instance.
std::string Daemon::Components::own_name() const {
  auto instance = termination.termination_view().instance;
  if (!instance.empty()) return instance;
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

std::optional<Bytes> Daemon::Components::cache_bytes(const std::string& builder) const {
  const auto* cache = builder_caches.find(builder);
  return cache == nullptr ? std::nullopt : cache->bytes();
}

std::string Daemon::Components::engine_away() const {
  const auto status = engine.status();
  return status.up ? "" : format("the engine cannot be reached: {}", status.reason);
}

bool Daemon::Components::is_healing(const std::string& name) const {
  const auto view = reconciler.builders_view();
  return std::any_of(view.builders.begin(), view.builders.end(), [&name](const ports::BuilderView& builder) {
    return builder.name == name && builder.state == policy::BuilderState::kHealing;
  });
}

std::vector<std::string> Daemon::Components::warm_builders() const {
  std::vector<std::string> warm;
  for (const auto& builder : reconciler.builders_view().builders) {
    if (builder.state == policy::BuilderState::kWarm) warm.push_back(builder.name);
  }
  return warm;
}

jobs::AgentOnHost Daemon::Components::agent_on_host() const {
  jobs::AgentOnHost on_host;
  on_host.unit = settings.agent.unit;
  if (const auto user = agent_user(settings.agent)) on_host.user = *user;
  return on_host;
}

std::vector<std::string> Daemon::Components::engine_folders() const {
  auto home = image_store.home();
  auto folders = std::move(home.stores);
  folders.push_back(std::move(home.data_root));
  return folders;
}

std::string Daemon::Components::device_of(ports::Kept kept) const {
  const auto all = filesystems.snapshots();
  const auto home = std::find_if(all.begin(), all.end(),
                                 [kept](const ports::FilesystemSnapshot& one) { return one.keeps.contains(kept); });
  return home == all.end() ? std::string() : home->device;
}

bool Daemon::Components::is_agents_disk_short() const {
  const auto all = filesystems.snapshots();
  return std::any_of(all.begin(), all.end(), [](const ports::FilesystemSnapshot& one) {
    return (one.has_role("builds") || one.has_role("git_mirrors")) && one.pressure.level != policy::Level::kOk &&
           one.pressure.level != policy::Level::kUnknown;
  });
}

std::string Daemon::Components::ledger_error() const {
  for (const auto* error : {&ledger.error(), &worth.error(), &savings.error()}) {
    if (!error->empty()) return *error;
  }
  return "";
}

bool Daemon::Components::is_builders_volume(const std::string& name) const {
  const auto all = reconciler.builders_view().builders;
  return std::any_of(all.begin(), all.end(), [&name](const ports::BuilderView& one) { return one.volume == name; });
}

api::ApiContext Daemon::Components::api_context() {
  api::ApiContext context;
  context.clock = &clock;
  context.readiness = [this] { return not_ready(); };
  context.config_json = [this] { return config::describe_json(loaded); };
  context.metrics_text = [this] { return metrics.text(); };
  for (const auto failure : api::kAllFailures) metrics.http_may_fail(std::string(api::name_of(failure)));
  context.http_failed = [this](std::string_view reason) { metrics.http_failed(std::string(reason)); };
  context.http_answered = [this](const std::string& route, int status, std::chrono::duration<double> took) {
    metrics.http_answered(route, status, took);
  };
  context.config = &reload;
  context.engine = &engine;
  context.disk = &disk_status;
  context.builders = &reconciler;
  context.builder_control = &reconciler;
  context.seeds = &seeds;
  context.seed_control = &seeds;
  context.jobs = &registry;
  context.savings = &savings;
  context.prefetch = &prefetch;
  context.emulators = &emulation;
  context.platforms = &emulation;
  context.termination = &termination;
  context.admissions = &admission_controller;
  context.space = &reclaimer;
  context.ending_jobs = &ending_jobs;
  context.events = &journal;
  context.event_archive = &store;
  context.subscribe = [this](std::function<void()> listener) {
    return journal.subscribe([listener = std::move(listener)](const ports::RecordedEvent&) { listener(); });
  };
  context.operation_store = &operation_store;
  context.agent_group = api_group;
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) context.host_name = name.data();
  context.allowed_hosts = settings.listen.allowed_hosts;
  context.version = BUILDWARDEN_VERSION;
  context.dry_run = [this] { return settings.dry_run; };
  context.pause_agent = [this] { return settings.on_full.pause_agent; };
  return context;
}

}  // namespace buildwarden
