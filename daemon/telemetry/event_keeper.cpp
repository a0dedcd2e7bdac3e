#include "daemon/telemetry/event_keeper.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>
#include <vector>

#include "common/format.h"

namespace buildwarden::telemetry {
namespace asio = boost::asio;

namespace {

constexpr Duration kBatch = std::chrono::seconds{1};
constexpr Duration kRetryAfter = std::chrono::seconds{5};
constexpr std::size_t kEventsAtOnce = 250;  // copying them holds up the loop

constexpr const char* kStarted = "daemon.started";
constexpr const char* kStopped = "daemon.stopped";

bool ended_cleanly(const std::vector<ports::RecordedEvent>& past) {
  for (auto event = past.rbegin(); event != past.rend(); ++event) {
    if (event->event.kind == kStopped) return true;
    if (event->event.kind == kStarted) return false;
  }
  return past.empty();
}

std::uint64_t beyond_all(std::uint64_t last, const Now& now) {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now.wall.time_since_epoch()).count();
  return std::max(last + 1, static_cast<std::uint64_t>(std::max<std::int64_t>(milliseconds, 1)));
}

ports::Event unclean_event(const ports::RecordedEvent& last) {
  ports::Event event;
  event.kind = "daemon.unclean_end";
  event.severity = ports::Severity::kWarning;
  event.rule = "no_stop_recorded";
  event.reason =
      format("The daemon before this one ended without a stop; the last that is known of it is event {}, {}, at {}.",
             last.id, last.event.kind, format_rfc3339(last.at));
  event.fields.emplace_back("last_id", static_cast<std::int64_t>(last.id));
  event.fields.emplace_back("last_at", format_rfc3339(last.at));
  return event;
}

ports::Event not_saved_event(const std::string& failure) {
  ports::Event event;
  event.kind = "state.not_saved";
  event.severity = ports::Severity::kWarning;
  event.rule = "journal";
  event.reason = format("The journal is not kept over a restart for now: {}.", failure);
  return event;
}

ports::Event saved_again_event(std::uint64_t last) {
  ports::Event event;
  event.kind = "state.saved_again";
  event.rule = "journal";
  event.reason = format("The journal is kept over a restart again, up to event {}.", last);
  return event;
}

}  // namespace

EventKeeper::EventKeeper(const asio::any_io_executor& executor, EventLog& log, ports::EventStore& store,
                         const Clock& clock)
    : log_(log), store_(store), clock_(clock), timer_(executor) {
  log_.hold();
  following_ = log_.subscribe([this](const ports::RecordedEvent&) {
    if (idle_ || crowded()) timer_.cancel();
  });
}

asio::awaitable<void> EventKeeper::start() {
  auto stored = co_await store_.load_events(log_.capacity());
  loaded_ = stored.ok();
  if (!stored) {
    const auto first = beyond_all(0, clock_.now());
    saved_ = first - 1;
    log_.begin(first);
    conclude(stored.error().message());
    co_return;
  }
  const bool is_clean = ended_cleanly(stored->events);
  ports::RecordedEvent last;
  if (!stored->events.empty()) last = stored->events.back();
  saved_ = last.id;
  // Also by a clock that was set back: no more than these can have waited for a store that works.
  log_.begin(is_clean && stored->complete ? last.id + 1 : beyond_all(last.id + log_.capacity(), clock_.now()));
  log_.remember(std::move(stored->events));
  if (!is_clean) log_.record(unclean_event(last));
}

// The store could not be read at the start. What it has is older than what we recorded since.
asio::awaitable<void> EventKeeper::load() {
  auto stored = co_await store_.load_events(log_.capacity());
  if (!stored) {
    conclude(stored.error().message());
    co_return;
  }
  loaded_ = true;
  log_.remember(std::move(stored->events));
}

asio::awaitable<void> EventKeeper::flush() {
  if (!loaded_) co_await load();
  while (loaded_ && pending()) {
    auto events = log_.since(saved_, kEventsAtOnce);
    const auto last = events.back().id;
    const auto appended = co_await store_.append_events(std::move(events));
    if (appended) saved_ = last;
    conclude(appended ? "" : appended.error().message());
    if (!appended) co_return;
  }
}

asio::awaitable<void> EventKeeper::run() {
  co_await start();
  co_await flush();  // at once: who is killed soon has been there all the same
  while (!stopping_) {
    co_await wait();
    co_await flush();
  }
  if (pending()) co_await flush();
}

asio::awaitable<void> EventKeeper::wait() {
  boost::system::error_code woken;
  if (!pending() && log_.error().empty()) {
    idle_ = true;
    timer_.expires_at(asio::steady_timer::time_point::max());
    auto token = asio::redirect_error(asio::use_awaitable, woken);
    co_await timer_.async_wait(token);
    idle_ = false;
  }
  if (stopping_ || crowded()) co_return;
  timer_.expires_after(log_.error().empty() ? kBatch : kRetryAfter);
  auto token = asio::redirect_error(asio::use_awaitable, woken);
  co_await timer_.async_wait(token);
}

// The log forgets what it has no room for, stored or not. A store that fails is not tried more often for it.
bool EventKeeper::crowded() const {
  return log_.error().empty() && log_.last_id() - std::min(saved_, log_.last_id()) >= log_.capacity() / 4;
}

void EventKeeper::stop() {
  stopping_ = true;
  timer_.cancel();
}

void EventKeeper::conclude(const std::string& failure) {
  const bool changed = log_.error().empty() != failure.empty();
  log_.set_error(failure);
  if (changed) log_.record(failure.empty() ? saved_again_event(saved_) : not_saved_event(failure));
}

}  // namespace buildwarden::telemetry
