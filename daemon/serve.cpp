#include "daemon/serve.h"

#include <sys/time.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "common/format.h"
#include "common/log.h"
#include "common/sd_listen.h"
#include "daemon/daemon.h"
#include "daemon/logging.h"
#include "daemon/stray_signals.h"

namespace buildwarden {
namespace asio = boost::asio;

namespace {

// systemd's TimeoutStopSec is longer. Coroutines that still run then cannot be taken apart safely, so the process ends
// without it: all state on disk is whole at any instant.
constexpr Duration kStopDeadline = std::chrono::milliseconds{4500};

// A signal, not a timer of the loop: it must also end what hangs after the loop, such as a thread in a dead disk.
void end_hard_when_late() {
  std::signal(SIGALRM, [](int) {
    constexpr std::string_view kText = "<3>the stop took too long; ending now\n";
    static_cast<void>(!::write(STDERR_FILENO, kText.data(), kText.size()));
    std::_Exit(EXIT_FAILURE);
  });
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(kStopDeadline);
  const auto rest = std::chrono::duration_cast<std::chrono::microseconds>(kStopDeadline - seconds);
  const itimerval once{{0, 0}, {seconds.count(), rest.count()}};
  ::setitimer(ITIMER_REAL, &once, nullptr);
}

asio::awaitable<void> stop_on_signal(Daemon* daemon, asio::signal_set* signals, asio::signal_set* others) {
  auto token = asio::as_tuple(asio::use_awaitable);
  const auto [error, number] = co_await signals->async_wait(token);
  if (error) co_return;
  log_info(format("stopping on SIG{}", ::sigabbrev_np(number)));
  others->cancel();
  end_hard_when_late();
  co_await daemon->stop();
}

// One that comes while a reload is under way leads to another one.
asio::awaitable<void> reload_on_signal(Daemon* daemon, asio::signal_set* signals) {
  auto token = asio::as_tuple(asio::use_awaitable);
  for (;;) {
    const auto [error, number] = co_await signals->async_wait(token);
    if (error) co_return;
    daemon->reload();
  }
}

}  // namespace

int serve(const config::LoadRequest& request, const policy::TerminationTimes& times) {
  disarm_stray_signals();
  configure_log(LogLevel::kInfo, LogFormat::kAuto);
  auto passed = take_passed_sockets();
  for (const auto& refused : passed.refused) log_warning(refused);
  auto loaded = config::load(request);
  if (!loaded) {
    log_error(format("the configuration is refused:\n{}", loaded.error().message()));
    return EXIT_FAILURE;
  }
  configure_log(loaded->settings.log);
  for (const auto& warning : loaded->warnings) log_warning(warning);
  std::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c): cannot fail for these arguments

  asio::io_context loop(1);
  asio::signal_set endings(loop, SIGTERM, SIGINT, SIGQUIT);
  asio::signal_set reloads(loop, SIGHUP);
  Daemon daemon(loop, {*std::move(loaded), request, std::move(passed), times});
  if (const auto started = daemon.start(); !started) {
    log_error(started.error().message());
    return EXIT_FAILURE;
  }
  asio::co_spawn(loop, stop_on_signal(&daemon, &endings, &reloads), asio::detached);
  asio::co_spawn(loop, reload_on_signal(&daemon, &reloads), asio::detached);
  daemon.run_loop();
  log_info("stopped");
  return EXIT_SUCCESS;
}

}  // namespace buildwarden
