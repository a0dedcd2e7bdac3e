#include "daemon/daemon.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>

#include "common/atomic_file.h"
#include "common/format.h"
#include "common/guarded_loop.h"
#include "common/log.h"
#include "common/log_budget.h"
#include "common/tick.h"
#include "daemon/api/sockets.h"
#include "daemon/components.h"

namespace buildwarden {
namespace asio = boost::asio;

namespace {

// For requests that run when we are asked to stop. Api::stop() may take it twice and a second, within kStopDeadline.
constexpr Duration kStopPatience = std::chrono::milliseconds{1200};

constexpr Duration kGatherEvents = std::chrono::milliseconds{50};
// A part that becomes ready does not always say so: others wait for `active`.
constexpr std::chrono::seconds kTickUntilActive{2};

ports::Event started_event(const Settings& settings, const std::string& where) {
  ports::Event event;
  event.kind = "daemon.started";
  event.rule = "start";
  event.reason = format("version {} answers on {}{}", BUILDWARDEN_VERSION, where,
                        settings.dry_run ? "; dry run: nothing is changed" : "");
  return event;
}

// Without it the next start knows that this one did not end well.
ports::Event stopped_event(Duration uptime) {
  ports::Event event;
  event.kind = "daemon.stopped";
  event.rule = "asked";
  event.reason = format("stopped as asked, after {}", short_duration(uptime));
  return event;
}

}  // namespace

Result<void> Daemon::Components::open() {
  if (auto made = make_folders(settings.paths.run, 0755); !made) return made;
  // A disk without a block left for a folder is when the daemon is needed most: the store makes it later.
  if (auto made = make_folders(settings.paths.state, 0700); !made) log_warning(made.error().message());
  registry.restore();
  termination.restore();
  api.restore();
  return passed.sockets.empty() ? open_own_sockets() : open_passed_sockets();
}

Result<void> Daemon::Components::open_passed_sockets() {
  for (auto& socket : passed.sockets) {
    if (socket.is_unix && api_group) {
      if (const auto given = api::give_to_group(socket.address, *api_group); !given) {
        log_warning(given.error().message());
      }
    }
    auto opened = api.open_passed(std::move(socket.descriptor), socket.is_unix);
    if (!opened) return std::move(opened).with_context(format("the passed socket {}", socket.address));
    where += (where.empty() ? "" : ", ") + socket.address;
  }
  log_info(format("answering on the sockets that were passed, {}; listen.* opens nothing", where));
  return {};
}

Result<void> Daemon::Components::open_own_sockets() {
  where = settings.listen.socket;
  if (auto opened = api.open_unix(where, api_group); !opened) {
    return std::move(opened).with_context("listen.socket");
  }
  if (settings.listen.tcp.empty()) return {};
  auto port = api.open_tcp(settings.listen.tcp);
  if (!port) return std::move(port).error().with_context("listen.tcp");
  log_info(format("GET requests are answered on TCP port {}, too", *port));
  return {};
}

void Daemon::Components::run() {
  asio::co_spawn(loop, event_keeper.run(), asio::detached);
  asio::co_spawn(loop, engine.run(), asio::detached);
  asio::co_spawn(loop, ledger.run(), asio::detached);
  asio::co_spawn(loop, worth.run(), asio::detached);
  asio::co_spawn(loop, savings.run(), asio::detached);
  asio::co_spawn(loop, last_use_recorder.run(), asio::detached);
  asio::co_spawn(loop, disk_monitor.run(), asio::detached);
  asio::co_spawn(loop, cache_sizes.run(), asio::detached);
  asio::co_spawn(loop, worker_facts.run(), asio::detached);
  asio::co_spawn(loop, idle_cache_collector.run(), asio::detached);
  asio::co_spawn(loop, network_collector.run(), asio::detached);
  asio::co_spawn(loop, checkout_sizes.run(), asio::detached);
  asio::co_spawn(loop, folder_sizes.run(), asio::detached);
  asio::co_spawn(loop, ending_jobs.run(), asio::detached);
  asio::co_spawn(loop, deletion_roots.run(), asio::detached);
  asio::co_spawn(loop, git_mirrors.put_back_left(), asio::detached);
  asio::co_spawn(loop, image_store.run(), asio::detached);
  asio::co_spawn(loop, running_jobs.run(), asio::detached);
  asio::co_spawn(loop, prefetch.run(), asio::detached);
  asio::co_spawn(loop, emulation.run(), asio::detached);
  asio::co_spawn(loop, termination.run(), asio::detached);
  asio::co_spawn(loop, build_histories.run(), asio::detached);
  asio::co_spawn(loop, api.run(), asio::detached);
  asio::co_spawn(loop, api.keep_planning(), asio::detached);
  asio::co_spawn(loop, probe.run(), asio::detached);
  asio::co_spawn(loop, service.run(), asio::detached);
  asio::co_spawn(loop, keep_outside_informed(), asio::detached);
  registry.start();
  seeds.start();
  reconciler.start();
  reload_loop.start();
  journal.record(started_event(settings, where));
  service.status("answering on " + where);
  service.ready();
}

void Daemon::Components::update_active_file(const std::vector<ports::NotReady>& missing) {
  const auto path = settings.paths.run + "/active";
  const bool active = !stopping_ && !settings.dry_run && is_at_work(missing, active_ == true);
  if (active_ == active) return;
  if (active) {
    if (const auto written = write_file_atomically(path, ""); !written) {
      log_warning(written.error().message());
      return;
    }
  } else {
    std::remove(path.c_str());
  }
  active_ = active;
}

void Daemon::Components::inform_outside() {
  const auto missing = not_ready();
  update_active_file(missing);
  if (!stopping_) service.status(status_line(disk_status.disk_view(), reconciler.builders_view(), missing));
}

asio::awaitable<void> Daemon::Components::keep_outside_informed() {
  auto token = asio::as_tuple(asio::use_awaitable);
  while (!stopping_) {
    if (!outside_is_stale_) {
      const auto period = active_ == true ? kIdleTick : kTickUntilActive;
      outside_timer_.expires_at(next_tick(std::chrono::steady_clock::now(), period));
      co_await outside_timer_.async_wait(token);
    }
    if (outside_is_stale_) {
      outside_timer_.expires_after(kGatherEvents);
      co_await outside_timer_.async_wait(token);
    }
    outside_is_stale_ = false;
    inform_outside();
  }
}

// Those who ask first, then those who act, then the facts that both rest on.
asio::awaitable<void> Daemon::Components::end() {
  stopping_ = true;
  service.stopping();
  outside_timer_.cancel();
  inform_outside();
  reload_loop.stop();
  reclaimer.stop();
  trash_folders.stop();
  cache_dirs.stop();
  docker_configs.stop();
  checkouts.stop();
  git_mirrors.stop();
  mirror_users.stop();
  mirror_seed_leftovers.stop();
  checkout_sizes.stop();
  folder_sizes.stop();
  ending_jobs.stop();
  deletion_roots.stop();
  image_store.stop();
  network_collector.stop();
  running_jobs.stop();
  disk_monitor.stop();
  ballast.stop();
  cache_sizes.stop();
  worker_facts.stop();
  idle_cache_collector.stop();
  prefetch.stop();
  emulation.stop();
  termination.stop();
  build_histories.stop();
  seeds.stop();
  co_await api.stop(kStopPatience);
  co_await seeds.released();
  reconciler.stop();
  registry.stop();
  co_await registry.saved();
  last_use_recorder.stop();
  ledger.stop();
  worth.stop();
  savings.stop();
  engine.stop();
  probe.stop();
  journal.record(stopped_event(clock.now().boot - started_.boot));
  event_keeper.stop();
  service.stop();
}

Daemon::Daemon(asio::io_context& loop, Start start)
    : components_(std::make_unique<Components>(loop, std::move(start))) {}

Daemon::~Daemon() = default;

Result<void> Daemon::start() {
  auto opened = components_->open();
  if (!opened) return opened;
  components_->run();
  return {};
}

void Daemon::run_loop() {
  LogBudget budget;
  run_guarded(components_->loop, [&](std::string_view what) {
    components_->metrics.loop_threw();
    log_error(budget, format("a handler threw, which is a mistake of the daemon: {}", what));
  });
}

void Daemon::reload() { components_->reload_loop.ask(); }

asio::awaitable<void> Daemon::stop() { return components_->end(); }

}  // namespace buildwarden
