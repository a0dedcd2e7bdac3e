#include "daemon/filesystems/disk_monitor.h"

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "common/format.h"
#include "common/tick.h"
#include "daemon/filesystems/disk_monitor_events.h"

namespace buildwarden::disk {
namespace asio = boost::asio;

namespace {

constexpr Duration kLongestSleep = kIdleTick;
constexpr Duration kShortestSleep{10};
// How long a background reclaim is not begun again: after one that fell short; and after one that was enough, or found
// that there was enough. That long is little, since a writer may have taken again what was freed before anybody looks.
constexpr Duration kAfterShort = std::chrono::seconds{60};
constexpr Duration kAfterDone{20};
constexpr Duration kAfterNothing{50};
// After one that a failure cut short, an engine that went away say; doubled from try to try.
constexpr Duration kAfterHindered = std::chrono::seconds{2};
constexpr Duration kBackgroundWait = std::chrono::hours{1};

constexpr Duration kLookAtReclaim = std::chrono::seconds{60};  // each turn() that finds a need wakes it
constexpr Duration kLookAtUsers = kIdleTick;

}  // namespace

DiskMonitor::DiskMonitor(Parts parts) : parts_(std::move(parts)), clock_steps_(parts_.run, parts_.boot_id) {}

asio::awaitable<Duration> DiskMonitor::turn(bool every) {
  record_clock_step(parts_.clock.now());
  const auto loop = co_await asio::this_coro::executor;
  co_await parts_.filesystems.observe(every);
  for (const auto& change : parts_.filesystems.take_changes()) parts_.journal.record(level_event(change));
  for (const auto& mistake : parts_.filesystems.take_mistakes()) parts_.journal.record(marks_event(mistake));
  note_filesystems();
  note_need();
  if (parts_.after_measurement) parts_.after_measurement(loop);
  const auto next = parts_.filesystems.next_due();
  const auto now = parts_.clock.now().boot;
  co_return next >= now + kLongestSleep ? kLongestSleep : std::max(kShortestSleep, next - now);
}

asio::awaitable<bool> DiskMonitor::reclaim_turn() {
  const auto now = parts_.clock.now().boot;
  const bool worse = worst_ > tried_at_;
  if (!needed_ || (not_before_ && now < *not_before_ && !worse)) co_return false;
  tried_at_ = worst_;
  ports::SpaceRequest request;
  request.wait = kBackgroundWait;
  request.on_behalf_of = "the disk watch";
  request.on_request = false;
  ports::Progress quiet;
  const auto result = co_await parts_.space.ensure(std::move(request), std::move(quiet));
  const bool did_something = result && !result->steps.empty();
  not_before_ = parts_.clock.now().boot + pause_after(result ? *result : ports::SpaceResult{});
  if (!did_something) co_return true;
  parts_.users.forget();
  every_ = true;
  loop_timer_.wake();
  co_return true;
}

// A dry run frees nothing, however often it is done.
Duration DiskMonitor::pause_after(const ports::SpaceResult& result) {
  const auto hindered = std::exchange(after_hindered_, Duration{0});
  if (result.reached && parts_.settings.dry_run) return kAfterShort;
  if (result.reached) return result.steps.empty() ? kAfterNothing : kAfterDone;
  if (!result.hindered) return kAfterShort;
  after_hindered_ = std::clamp(hindered * 2, kAfterHindered, kAfterShort);
  return after_hindered_;
}

void DiskMonitor::note_filesystems() {
  std::vector<std::pair<std::string, std::string>> watched;
  for (const auto& filesystem : parts_.filesystems.snapshots())
    watched.emplace_back(filesystem.device, filesystem.mount);
  if (watched != watched_) not_before_.reset();
  watched_ = std::move(watched);
}

void DiskMonitor::note_need() {
  needed_ = false;
  worst_ = policy::Level::kOk;
  for (const auto& filesystem : parts_.filesystems.snapshots()) {
    const auto& pressure = filesystem.pressure;
    if (!pressure.reclaim || pressure.level == policy::Level::kUnknown || !parts_.can_free(filesystem)) continue;
    needed_ = true;
    worst_ = std::max(worst_, pressure.level);
  }
  if (!needed_) tried_at_ = policy::Level::kOk;
  if (needed_) reclaim_timer_.wake();
}

void DiskMonitor::record_clock_step(Now now) {
  const auto step = clock_steps_.note(now);
  if (step) parts_.journal.record(clock_step_event(*step, parts_.settings.disk.keep_used_within));
}

bool DiskMonitor::clock_is_steady_for(Duration time) const { return clock_steps_.steady_for(time, parts_.clock.now()); }

asio::awaitable<void> DiskMonitor::run() { return loop_timer_.run(all_loops()); }

void DiskMonitor::look_now() {
  not_before_.reset();
  mounts_changed();
}

void DiskMonitor::mounts_changed() {
  every_ = true;
  loop_timer_.wake();
}

void DiskMonitor::stop() { loop_timer_.stop(); }

asio::awaitable<void> DiskMonitor::all_loops() {
  using namespace asio::experimental::awaitable_operators;  // NOLINT(google-build-using-namespace)
  co_await (watch_loop() && reclaim_loop() && users_loop());
}

asio::awaitable<void> DiskMonitor::watch_loop() {
  while (!loop_timer_.stopped()) {
    const bool every = std::exchange(every_, false);
    const auto pause = co_await turn(every);
    co_await loop_timer_.sleep_for(pause);
  }
}

asio::awaitable<void> DiskMonitor::reclaim_loop() {
  while (!loop_timer_.stopped()) {
    const bool tried = co_await reclaim_turn();
    if (!tried) co_await reclaim_timer_.sleep_for(kLookAtReclaim);
  }
}

asio::awaitable<void> DiskMonitor::users_loop() {
  while (!loop_timer_.stopped()) {
    co_await parts_.users.refresh();
    co_await users_timer_.sleep_for(kLookAtUsers);
  }
}

}  // namespace buildwarden::disk
