#include "daemon/builders/observe.h"

#include "common/format.h"

namespace buildwarden::builders {
namespace asio = boost::asio;
namespace {

constexpr Duration kFirstAnswer = std::chrono::seconds{1};   // it is starting: ask often
constexpr Duration kLaterAnswer = std::chrono::seconds{10};  // it may be busy
constexpr int kSilentIsDead = 3;
constexpr int kUnknownBuilds = 1;

}  // namespace

asio::awaitable<Observation> Observer::observe(Builder* builder) {
  Observation seen;
  const auto status = ports_.engine.status();
  if (!status.up || status.identity.id.empty()) {
    seen.unknown = status.reason.empty() ? "the engine is not known yet" : status.reason;
    builder->liveness = {};
    co_return seen;
  }
  auto inspected = co_await inspect(builder, &seen);
  if (!inspected) {
    seen = Observation{};
    seen.unknown = inspected.error().message();
    co_return seen;
  }
  seen.builder.engine_up = true;
  const auto& real = seen.builder.real;
  auto& liveness = builder->liveness;
  if (real.state != policy::ContainerState::kRunning || real.id != liveness.container_id) {
    liveness = Liveness{};
    liveness.container_id = real.id;
  }
  seen.builder.answers = liveness.answered;
  seen.builder.running_builds = kUnknownBuilds;
  co_return seen;
}

ports::Async<void> Observer::inspect(const Builder* builder, Observation* into) {
  auto real = co_await ports_.containers.inspect_container(builder->container);
  if (!real) co_return std::move(real).with_context(format("inspect {}", builder->container)).error();
  into->builder.real = *std::move(real);
  for (const auto& name : builder->fronts) {
    auto front = co_await ports_.containers.inspect_container(name);
    if (!front) co_return std::move(front).with_context(format("inspect {}", name)).error();
    into->builder.fronts[name] = *std::move(front);
  }
  auto image = co_await ports_.images.image_id(builder->settings.image);
  if (!image && image.error().code() != Errc::kNotFound) {
    co_return std::move(image).with_context(format("look for image {}", builder->settings.image)).error();
  }
  if (image) into->image_id = *std::move(image);
  into->builder.image_present = into->image_id.has_value();
  co_return Result<void>{};
}

asio::awaitable<bool> Observer::ask(Builder* builder, Observation* seen) {
  if (seen->builder.real.state != policy::ContainerState::kRunning) co_return true;
  auto& liveness = builder->liveness;
  const auto deadline = liveness.answered ? kLaterAnswer : kFirstAnswer;
  auto answer = co_await builder->probe.ask(socket_path(paths_, builder->settings.name), deadline);
  if (answer) {
    liveness.answered = true;
    liveness.silent = 0;
    seen->builder.running_builds = answer->value_or(kUnknownBuilds);
  } else if (answer.error().code() == Errc::kCancelled) {
    co_return false;
  } else if (++liveness.silent >= kSilentIsDead) {
    liveness.answered = false;
  }
  seen->builder.answers = liveness.answered;
  co_return true;
}

}  // namespace buildwarden::builders
