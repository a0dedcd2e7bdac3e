#include "daemon/engine/link.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <variant>

#include "common/format.h"
#include "common/tick.h"
#include "daemon/engine/decode.h"
#include "daemon/engine/encode.h"

namespace buildwarden::engine {
namespace asio = boost::asio;

namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;
constexpr std::int64_t kEverything = 1;  // a time before every engine's first event; 0 would mean none
constexpr Bytes kMostPast = 16 * kMiB;   // 256 events, with as many labels as containers have

// Every type and action that somebody here listens for. An action that is not named here never comes.
constexpr std::string_view kChangesFilter =
    R"({"type":["container","image","network","volume"],"event":["create","start","restart","die","oom","pause",)"
    R"("unpause","rename","update","destroy","commit","copy","export","archive-path","extract-to-dir","pull","push",)"
    R"("tag","untag","delete","load","import","save","prune","connect","disconnect","remove","mount","unmount"]})";
// A name's beginning is enough for the engine, and so is an action's ("exec_create: buildctl dial-stdio").
constexpr std::string_view kBuildsFilter =
    R"({"container":["buildx_buildkit_"],"type":["container"],"event":["exec_create","exec_die"]})";

std::int64_t nanos_of(WallTime time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

std::string since_text(std::int64_t nanos) {
  return format("{}.{:09}", nanos / kNanosPerSecond, nanos % kNanosPerSecond);
}

asio::awaitable<void> wait_on(std::shared_ptr<asio::steady_timer> timer) {
  co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
}

}  // namespace

Link::Link(Transport& transport, const Clock& clock, ports::Journal& journal, LinkTimes times)
    : transport_(transport), clock_(clock), journal_(journal), times_(times) {
  status_.reason = "the engine was not asked yet";
}

asio::awaitable<void> Link::run() {
  using asio::experimental::awaitable_operators::operator||;
  const auto executor = co_await asio::this_coro::executor;
  const auto stopped = std::make_shared<asio::steady_timer>(executor, asio::steady_timer::time_point::max());
  wake_ = [stopped] { stopped->cancel(); };
  if (!stopping_) co_await (loop() || wait_on(stopped));
  wake_ = nullptr;
}

void Link::stop() {
  stopping_ = true;
  if (wake_) wake_();
}

asio::awaitable<void> Link::loop() {
  auto delay = times_.first_retry;
  while (!stopping_) {
    auto events = co_await connect();
    if (stopping_) co_return;  // broken off by us: the engine is not lost
    if (events) {
      const auto began = clock_.now().boot;
      connected();
      const auto why = co_await follow(*std::move(events));
      if (stopping_) co_return;
      if (clock_.now().boot - began > times_.last_retry) delay = times_.first_retry;
      lost(why);
    } else {
      lost(events.error());
    }
    co_await wait(delay);
    delay = std::min(delay * 2, times_.last_retry);
  }
}

asio::awaitable<void> Link::wait(Duration delay) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, wait_end(std::chrono::steady_clock::now(), delay));
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

ports::Async<Link::Streams> Link::connect() {
  const auto asked = std::chrono::steady_clock::now();
  auto version = co_await transport_.ping(times_.ping_deadline);
  status_.pings.note(version.ok(), asked, clock_.now().wall);
  if (!version) co_return std::move(version).error();
  transport_.open(*version);
  Call info;
  info.target = "/info";
  auto identity = co_await transport_.ask(std::move(info), &decode_identity);
  if (!identity) co_return std::move(identity).error();
  status_.identity = *std::move(identity);
  status_.identity.api_version = version->text();
  if (since_nanos_[kChanges] == 0) {
    const auto since = nanos_of(clock_.now().wall);
    auto told = co_await tell_past(since);
    if (!told) co_return std::move(told).error();
    since_nanos_.fill(since);
  }
  auto changes = co_await open(kChanges);
  if (!changes) co_return std::move(changes).error();
  auto builds = co_await open(kBuilds);
  if (!builds) co_return std::move(builds).error();
  Streams streams;
  streams[kChanges] = *std::move(changes);
  streams[kBuilds] = *std::move(builds);
  co_return streams;
}

ports::Async<std::unique_ptr<HttpStream>> Link::open(Channel channel) {
  const auto filter = channel == kChanges ? kChangesFilter : kBuildsFilter;
  const Query query = {{"filters", std::string(filter)}, {"since", since_text(since_nanos_.at(channel))}};
  Call events;
  events.target = "/events" + encode_query(query);
  events.limits.deadline = times_.ping_deadline;
  co_return co_await transport_.stream(std::move(events));
}

// Asked for by itself, since a stream does not say where its past ends and the present begins.
ports::Async<void> Link::tell_past(std::int64_t until_nanos) {
  Call past;
  const Query query = {{"since", since_text(kEverything)}, {"until", since_text(until_nanos)}};
  past.target = "/events" + encode_query(query);
  past.limits.deadline = times_.ping_deadline;
  past.limits.max_body = kMostPast;
  auto answer = co_await transport_.call(std::move(past));
  if (!answer) co_return std::move(answer).error().with_context("the events before the start");
  std::istringstream lines(answer->body);
  for (std::string line; std::getline(lines, line);) {
    if (line.find_first_not_of(" \r") == std::string::npos) continue;
    auto past_event = decode_event(line);
    if (!past_event) co_return std::move(past_event).error().with_context("the events before the start");
    past_event->event.before_start = true;
    deliver(past_event->event);
  }
  co_return Result<void>{};
}

asio::awaitable<Error> Link::follow(Streams streams) {
  using asio::experimental::awaitable_operators::operator||;
  auto ended = co_await (follow(kChanges, streams[kChanges]) || follow(kBuilds, streams[kBuilds]));
  co_return std::visit([](Error& why) { return std::move(why); }, ended);
}

// One of them asks whether the engine lives, for both.
asio::awaitable<Error> Link::follow(Channel channel, std::shared_ptr<HttpStream> events) {
  while (true) {
    const auto now = std::chrono::steady_clock::now();
    const auto patience = std::chrono::ceil<Duration>(wait_end(now, times_.heartbeat) - now);
    auto line = co_await events->next_line(patience);
    if (line) {
      auto streamed = decode_event(*line);
      if (!streamed) co_return std::move(streamed).error();
      heard_ = clock_.now().boot;
      since_nanos_.at(channel) = std::max(since_nanos_.at(channel), streamed->nanos + 1);
      deliver(streamed->event);
      continue;
    }
    if (line.error().code() != Errc::kTimeout) co_return std::move(line).error().with_context("the event stream");
    if (channel != kChanges) continue;
    const auto asked = std::chrono::steady_clock::now();
    auto alive = co_await transport_.ping(times_.ping_deadline);
    status_.pings.note(alive.ok(), asked, clock_.now().wall);
    if (!alive) co_return std::move(alive).error();
    heard_ = clock_.now().boot;
  }
}

void Link::connected() {
  const auto now = clock_.now();
  std::optional<Duration> gap;
  if (heard_) gap = now.boot - *heard_;
  heard_ = now.boot;
  status_.up = true;
  status_.since = now;
  status_.reason.clear();
  ports::Event event;
  event.kind = "engine.connected";
  event.rule = "answers";
  event.reason = format("the engine {} answers, API {}", status_.identity.version, status_.identity.api_version);
  if (gap) event.reason += format(", after {} without its events", short_duration(*gap));
  event.fields.emplace_back("engine_id", status_.identity.id);
  event.fields.emplace_back("data_root", status_.identity.root_dir);
  if (gap) event.fields.emplace_back("gap_seconds", static_cast<double>(gap->count()) / 1000.0);
  journal_.record(std::move(event));
  const auto identity = status_.identity;
  for (const auto& listener : connect_listeners_) listener(identity, gap);
}

// Told once an outage: while it lasts only the reason may change.
void Link::lost(const Error& why) {
  const bool first = status_.up || !status_.since;
  const bool was_up = status_.up;
  transport_.close(format("the engine is away: {}", why.message()));
  status_.up = false;
  status_.reason = why.message();
  if (!first) return;
  status_.since = clock_.now();
  ports::Event event;
  event.kind = "engine.lost";
  event.severity = ports::Severity::kWarning;
  event.rule = std::string(to_string(why.code()));
  event.reason = format("the engine does not answer: {}", why.message());
  journal_.record(std::move(event));
  const auto reason = status_.reason;
  if (!was_up) return;
  for (const auto& listener : loss_listeners_) listener(reason);
}

void Link::deliver(const ports::EngineEvent& event) {
  for (const auto& listener : event_listeners_) listener(event);
}

void Link::on_event(std::function<void(const ports::EngineEvent&)> listener) {
  event_listeners_.push_back(std::move(listener));
}

void Link::on_connected(std::function<void(const ports::EngineIdentity&, std::optional<Duration>)> listener) {
  connect_listeners_.push_back(std::move(listener));
}

void Link::on_lost(std::function<void(const std::string&)> listener) { loss_listeners_.push_back(std::move(listener)); }

}  // namespace buildwarden::engine
