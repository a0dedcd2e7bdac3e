#include "daemon/reload_loop.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "common/log.h"

namespace buildwarden {
namespace asio = boost::asio;

// A mount may have come between a watched folder and us, so the files are looked at again, too.
ReloadLoop::ReloadLoop(asio::any_io_executor executor, Parts parts, FileWatchTimes times)
    : executor_(std::move(executor)),
      parts_(std::move(parts)),
      files_(executor_, parts_.workers, times),
      mounts_(executor_, [this] {
        mounted_ = true;
        files_.look_again();
      }) {}

void ReloadLoop::start() {
  asio::co_spawn(executor_, mounts_.run(), asio::detached);
  asio::co_spawn(executor_, run(), asio::detached);
}

void ReloadLoop::ask() {
  asked_ = true;
  files_.look_again();
}

void ReloadLoop::stop() {
  stopped_ = true;
  mounts_.stop();
  files_.stop();
}

asio::awaitable<void> ReloadLoop::run() {
  if (!mounts_.problem().empty()) log_warning(mounts_.problem());
  files_.watch(parts_.files());
  auto cause = ReloadCause::kStart;
  while (!stopped_) {
    const bool changed = co_await files_.next();
    if (stopped_) co_return;
    say_problem();
    if (std::exchange(mounted_, false)) parts_.mounts_changed();
    if (std::exchange(asked_, false)) cause = ReloadCause::kSignal;
    if (changed || cause == ReloadCause::kSignal) {
      co_await parts_.reload.turn(cause);
      files_.watch(parts_.files());
      cause = ReloadCause::kFiles;
    }
  }
}

void ReloadLoop::say_problem() {
  if (files_.problem() == problem_) return;
  problem_ = files_.problem();
  if (!problem_.empty()) log_warning("changes of the configuration may be seen late: " + problem_);
}

}  // namespace buildwarden
