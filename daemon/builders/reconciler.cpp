#include "daemon/builders/reconciler.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>

#include "common/format.h"
#include "common/log.h"
#include "daemon/builders/builder_events.h"
#include "daemon/builders/recreate_request.h"

namespace buildwarden::builders {
namespace asio = boost::asio;
namespace {

constexpr Duration kShortestWait = std::chrono::milliseconds{10};
constexpr Duration kOvertakenPause = std::chrono::milliseconds{50};
constexpr Duration kHeldPause = std::chrono::milliseconds{500};

void ended(const std::exception_ptr& failure) {
  if (!failure) return;
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    log_error(format("the loop of a builder ended: {}", error.what()));
  }
}

}  // namespace

Reconciler::Reconciler(asio::any_io_executor executor, ReconcilerSettings settings, ReconcilerPorts ports)
    : executor_(std::move(executor)),
      settings_(std::move(settings)),
      ports_(std::move(ports)),
      provider_({ports_.images, ports_.source, ports_.journal, ports_.clock}, settings_.paths.images, settings_.jitter),
      observer_({ports_.engine, ports_.containers, ports_.images, ports_.files, ports_.clock}, settings_.paths),
      steps_({ports_.files, ports_.control, ports_.images, ports_.journal}, provider_) {
  for (const auto& builder : settings_.builders) builders_.push_back(std::make_unique<Builder>(builder, executor_));
  ports_.events.on_event([this](const ports::EngineEvent& event) { on_engine_event(event); });
  ports_.events.on_connected([this](const ports::EngineIdentity&, std::optional<Duration>) { on_connected(); });
  ports_.events.on_lost([this](const std::string&) { on_connected(); });
}

void Reconciler::start() {
  started_ = true;
  for (const auto& builder : builders_) begin(builder.get());
}

void Reconciler::begin(Builder* builder) { asio::co_spawn(executor_, builder->timer.run(keep(builder)), ended); }

void Reconciler::stop() {
  stopping_ = true;
  for (const auto& builder : builders_) {
    wake(*builder);
    builder->timer.stop();
  }
}

asio::awaitable<void> Reconciler::keep(Builder* builder) {
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!builder->timer.stopped()) {
    const auto wait = co_await one_turn(builder);
    co_await builder->timer.sleep_for(std::max(wait, kShortestWait));
  }
}

Builder* Reconciler::find(const std::string& name) const {
  const auto found =
      std::find_if(builders_.begin(), builders_.end(), [&](const auto& one) { return one->settings.name == name; });
  return found == builders_.end() ? nullptr : found->get();
}

ports::Async<Duration> Reconciler::turn(std::string builder) {
  auto* found = find(builder);
  if (found == nullptr) co_return Error(Errc::kNotFound, format("no builder \"{}\"", builder));
  co_return co_await one_turn(found);
}

// What the engine shows is acted on at once; only where it shows nothing to do is buildkitd asked, since that may take
// long. Until it has answered, somebody may be building on it.
asio::awaitable<Duration> Reconciler::one_turn(Builder* builder) {
  builder->woken = false;
  take_settings(*builder);
  if (ports_.held && ports_.held(builder->settings.name)) co_return kHeldPause;
  auto seen = co_await observer_.observe(builder);
  if (builder->timer.stopped()) co_return Duration{0};
  if (seen.image_id) builder->image_id = seen.image_id;
  auto plan = decide(*builder, seen, ports_.clock.now());
  const bool ask = plan.steps.empty() && seen.builder.engine_up;
  if (ask) {
    const bool asked = co_await observer_.ask(builder, &seen);
    if (!asked || builder->timer.stopped()) co_return Duration{0};
    plan = decide(*builder, seen, ports_.clock.now());
  }
  if (answer_request(*builder, plan, ask)) co_return Duration{0};
  co_return co_await act_on(builder, std::move(plan), std::move(seen));
}

asio::awaitable<Duration> Reconciler::act_on(Builder* builder, policy::BuilderPlan plan, Observation seen) {
  note_engine_restart(*builder, plan.memory, ports_.clock.now());
  builder->memory = plan.memory;
  note_plan(*builder, plan, ports_.clock.now(), ports_.journal);
  if (builder->liveness.silent > 0) plan.again = std::min(plan.again, kAskAgain);
  if (builder->running_builds.value_or(0) > 0) plan.again = std::min(plan.again, kBuildsAgain);
  if (plan.steps.empty()) co_return plan.again;
  if (settings_.dry_run) {
    note_dry_run(*builder, plan.steps, ports_.journal);
    co_return policy::BuilderPlan{}.again;
  }
  co_return co_await take_steps(builder, std::move(plan), std::move(seen));
}

asio::awaitable<Duration> Reconciler::take_steps(Builder* builder, policy::BuilderPlan plan, Observation seen) {
  note_outage(*builder, plan.steps.front(), ports_.clock.now());
  if (plan.crashes_then) {
    builder->memory.crash = *plan.crashes_then;
    note_volume(*builder, plan.steps.front(), ports_.journal);
  }
  auto done = co_await steps_.carry_out(builder, plan.steps, std::move(seen), host(*builder));
  if (starts_anew(*builder, plan)) builder->liveness = {};
  if (builder->timer.stopped()) co_return Duration{0};
  // A container that somebody removes at this moment is not worth a back-off: the next look shows what became of it.
  if (!done && was_overtaken(done.error()) && builder->overtaken++ < kMostOvertaken) co_return kOvertakenPause;
  builder->overtaken = 0;
  answer_with_steps(*builder, plan, done);
  const auto now = ports_.clock.now();
  builder->memory = policy::after_steps(builder->memory, !done, now);
  if (done) co_return plan.again;
  builder->reason = format("{}, but: {}", plan.steps.front().reason, done.error().message());
  const auto not_before = builder->memory.not_before.value_or(now.boot);
  co_return std::max(not_before - now.boot, Duration{0});
}

}  // namespace buildwarden::builders
