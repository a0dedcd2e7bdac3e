#include "daemon/daemon.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>

#include "common/atomic_file.h"
#include "common/beat.h"
#include "common/format.h"
#include "common/log.h"
#include "daemon/rooms.h"

namespace buildwarden {
namespace asio = boost::asio;

namespace {

// For requests that run when we are asked to stop. Api::stop() may take it twice and a second, within kStopDeadline.
constexpr Duration kPatience = std::chrono::milliseconds{1200};

ports::Event started_event(const config::Loaded& loaded) {
  ports::Event event;
  event.kind = "daemon.started";
  event.rule = "start";
  event.reason = format("version {} answers on {}{}", BUILDWARDEN_VERSION, loaded.settings.listen.socket,
                        loaded.settings.dry_run ? "; dry run: nothing is changed" : "");
  return event;
}

// Without it the next start knows that this one did not end well.
ports::Event stopped_event(Duration uptime) {
  ports::Event event;
  event.kind = "daemon.stopped";
  event.rule = "asked";
  event.reason = format("stopped as asked, after {}", format_duration(uptime));
  return event;
}

}  // namespace

Result<void> Daemon::Rooms::open() {
  if (auto made = make_folders(settings.paths.run, 0755); !made) return made;
  // A disk without a block left for a folder is when the daemon is needed most: what wants to keep something says so.
  if (auto made = make_folders(settings.paths.state, 0700); !made) log_warning(made.error().message());
  registry.restore();
  api.restore();
  if (auto opened = api.open_unix(settings.listen.socket, api_group); !opened) {
    return std::move(opened).with_context("listen.socket");
  }
  if (settings.listen.tcp.empty()) return {};
  auto port = api.open_tcp(settings.listen.tcp);
  if (!port) return std::move(port).error().with_context("listen.tcp");
  log_info(format("GET requests are answered on TCP port {}, too", *port));
  return {};
}

void Daemon::Rooms::run() {
  asio::co_spawn(loop, event_keeper.run(), asio::detached);
  asio::co_spawn(loop, engine.run(), asio::detached);
  asio::co_spawn(loop, ledger.run(), asio::detached);
  asio::co_spawn(loop, feed.run(), asio::detached);
  asio::co_spawn(loop, watch.run(), asio::detached);
  asio::co_spawn(loop, probe.run(), asio::detached);
  asio::co_spawn(loop, keep_active_file(), asio::detached);
  registry.start();
  reconciler.start();
  journal.record(started_event(loaded));
}

void Daemon::Rooms::update_active_file() {
  const auto path = settings.paths.run + "/active";
  const bool active = !stopping_ && !settings.dry_run && not_ready().empty();
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

asio::awaitable<void> Daemon::Rooms::keep_active_file() {
  auto token = asio::as_tuple(asio::use_awaitable);
  while (!stopping_) {
    update_active_file();
    active_timer_.expires_at(next_beat(std::chrono::steady_clock::now(), kBeat));
    co_await active_timer_.async_wait(token);
  }
}

// Those who ask first, then those who act, then the facts that both rest on.
asio::awaitable<void> Daemon::Rooms::end() {
  stopping_ = true;
  active_timer_.cancel();
  update_active_file();
  reclaimer.stop();
  watch.stop();
  co_await api.stop(kPatience);
  reconciler.stop();
  registry.stop();
  feed.stop();
  ledger.stop();
  engine.stop();
  probe.stop();
  journal.record(stopped_event(clock.now().boot - started_.boot));
  event_keeper.stop();
}

Daemon::Daemon(asio::io_context& loop, config::Loaded loaded)
    : rooms_(std::make_unique<Rooms>(loop, std::move(loaded))) {}

Daemon::~Daemon() = default;

Result<void> Daemon::start() {
  auto opened = rooms_->open();
  if (!opened) return opened;
  rooms_->run();
  return {};
}

asio::awaitable<void> Daemon::stop() { return rooms_->end(); }

const std::string& Daemon::socket_path() const { return rooms_->settings.listen.socket; }

}  // namespace buildwarden
