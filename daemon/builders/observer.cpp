// What the engine shows of a builder.
#include "daemon/builders/observer.h"

#include <algorithm>
#include <functional>

#include "common/format.h"
#include "daemon/builders/volumes.h"

namespace buildwarden::builders {
namespace asio = boost::asio;
namespace {

constexpr Duration kFilePatience = std::chrono::seconds{10};

// What the last question gave of a container that exists.
void recall_folder(const Builder& builder, policy::ObservedContainer& container) {
  container.other_folder = !container.id.empty() && builder.stale_mounts.contains(container.id);
}

}  // namespace

asio::awaitable<Observation> Observer::observe(Builder* builder) {
  Observation seen;
  const auto status = ports_.engine.status();
  if (!status.up || status.identity.id.empty()) {
    seen.unknown = status.reason.empty() ? "the engine is not known yet" : status.reason;
    builder->liveness = {};
    builder->running_builds.reset();
    co_return seen;
  }
  auto inspected = co_await inspect(builder, &seen);
  if (inspected) inspected = co_await learn_volume(builder, &seen.builder.real);
  if (!inspected) {
    seen = Observation{};
    seen.unknown = inspected.error().message();
    co_return seen;
  }
  seen.builder.engine_up = true;
  seen.builder.engine = format("{} {}", status.identity.id, status.identity.root_dir);
  const auto& real = seen.builder.real;
  auto& liveness = builder->liveness;
  if (real.state != policy::ContainerState::kRunning || real.id != liveness.container_id) {
    liveness = Liveness{};
    liveness.container_id = real.id;
    builder->running_builds.reset();
  }
  recall_folder(*builder, seen.builder.real);
  for (auto& [name, front] : seen.builder.fronts) recall_folder(*builder, front);
  show(*builder, &seen);
  seen.builder.running_builds = kUnknownBuilds;
  co_return seen;
}

// What its container says, else what was written down. Where neither can be read nothing may be made: it would be on
// another volume than before.
ports::Async<void> Observer::learn_volume(Builder* builder, const policy::ObservedContainer* real) {
  if (builder->volume_known) co_return Result<void>{};
  std::function<Result<Volumes>()> work = [file = volumes_file(paths_, builder->settings.name)] {
    return read_volumes(file);
  };
  auto volumes = co_await ports_.files.compute<Volumes>(std::move(work), kFilePatience);
  if (!volumes) co_return std::move(volumes).with_context("look for the builder's volume").error();
  auto& crash = builder->memory.crash;
  crash.volume = real->ours && real->volume > 0 ? real->volume : volumes->in_use;
  crash.newest = std::max(volumes->newest, crash.volume);
  builder->volume_known = true;
  co_return Result<void>{};
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

}  // namespace buildwarden::builders
