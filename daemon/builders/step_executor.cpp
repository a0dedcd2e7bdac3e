#include "daemon/builders/step_executor.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "common/atomic_file.h"
#include "common/format.h"
#include "daemon/builders/toml.h"

namespace buildwarden::builders {
namespace {

constexpr Duration kDiskPatience = std::chrono::seconds{30};

Result<void> write_certificates(const BuilderSettings& builder, const std::string& folder) {
  for (const auto& [registry, settings] : builder.registries) {
    if (settings.ca.empty()) continue;
    auto text = read_file(settings.ca);
    if (!text) return std::move(text).with_context(format("registries.{}.ca", registry)).error();
    const auto file = folder + "/" + certificate_file(registry);
    auto made = make_folders(file.substr(0, file.rfind('/')));
    if (made) made = write_file_atomically(file, *text);
    if (!made) return made;
  }
  return {};
}

// The agent's group may pass through to the socket, nobody else; the umask is not ours to obey here.
Result<void> make_socket_folder(const std::string& folder, gid_t group) {
  auto made = make_folders(folder);
  if (!made) return made;
  if (::chown(folder.c_str(), static_cast<uid_t>(-1), group) != 0) {
    return Error::from_errno(errno, format("give {} to group {}", folder, group));
  }
  if (::chmod(folder.c_str(), 0750) != 0) return Error::from_errno(errno, format("set the mode of {}", folder));
  return {};
}

// Of the one that the engine's volumes lie on; 0: not known.
Bytes size_of_filesystem(const std::string& data_root) {
  struct statvfs info{};
  if (data_root.empty() || ::statvfs((data_root + "/volumes").c_str(), &info) != 0) return 0;
  return static_cast<Bytes>(info.f_blocks * info.f_frsize);
}

const policy::ObservedContainer* find(const Observation& seen, const Builder& builder, const std::string& container) {
  if (container == builder.container) return &seen.builder.real;
  const auto front = seen.builder.fronts.find(container);
  return front == seen.builder.fronts.end() ? nullptr : &front->second;
}

}  // namespace

bool was_overtaken(const Error& error) { return error.code() == Errc::kConflict || error.code() == Errc::kNotFound; }

Result<void> prepare_host(const BuilderSettings& builder, const HostFacts& host) {
  auto done = make_socket_folder(socket_folder(host.paths, builder.name), host.agent_group);
  const auto folder = config_folder(host.paths, builder.name);
  if (done) done = make_folders(folder);
  if (done) done = write_certificates(builder, folder);
  if (done)
    done =
        write_file_atomically(folder + "/buildkitd.toml", buildkitd_toml(builder, size_of_filesystem(host.data_root)));
  if (done) done = write_volumes(volumes_file(host.paths, builder.name), host.volumes);
  return std::move(done).with_context(format("prepare builder {}", builder.name));
}

ports::Async<void> StepExecutor::carry_out(Builder* builder, std::vector<policy::BuilderStep> steps, Observation seen,
                                           HostFacts host) {
  Job job;
  job.builder = builder;
  job.seen = std::move(seen);
  job.host = std::move(host);
  for (const auto& step : steps) {
    if (builder->timer.stopped()) co_return Error(Errc::kCancelled, "stopping");
    auto done = co_await one(&job, &step);
    record(*builder, step, done);
    if (!done) co_return done;
  }
  co_return Result<void>{};
}

ports::Async<void> StepExecutor::one(const Job* job, const policy::BuilderStep* step) {
  using policy::BuilderAction;
  switch (step->action) {
    case BuilderAction::kProvideImage: {
      auto id = co_await provider_.provide(job->builder->settings.image);
      if (!id) co_return std::move(id).error();
      co_return Result<void>{};
    }
    case BuilderAction::kCreate: co_return co_await create(job, step->container, false);
    case BuilderAction::kCreateFront: co_return co_await create(job, step->container, true);
    case BuilderAction::kStart:
    case BuilderAction::kStartFront: co_return co_await start(job, step->container);
    case BuilderAction::kUnpause:
    case BuilderAction::kUnpauseFront: co_return co_await act(job, step->container, ports::ContainerVerb::kUnpause);
    case BuilderAction::kRestart: co_return co_await restart(job, step->container);
    case BuilderAction::kRemove:
    case BuilderAction::kRemoveFront: co_return co_await act(job, step->container, ports::ContainerVerb::kRemove);
  }
  co_return Error(Errc::kInvalid, "unknown step");
}

ports::Async<void> StepExecutor::prepare(const Job* job) {
  std::function<Result<void>()> work = [settings = job->builder->settings, host = job->host] {
    return prepare_host(settings, host);
  };
  co_return co_await ports_.files.compute<void>(std::move(work), kDiskPatience);
}

ports::Async<void> StepExecutor::create(const Job* job, std::string container, bool front) {
  const auto& settings = job->builder->settings;
  auto prepared = co_await prepare(job);
  if (!prepared) co_return prepared;
  // The id is asked for now: a step before this one may have brought the image.
  auto image = co_await ports_.images.image_id(settings.image);
  if (!image) co_return std::move(image).with_context(settings.image).error();
  ports::ContainerSpec spec;
  if (front) {
    spec = front_spec(settings, job->host, container);
  } else {
    auto real = real_spec(settings, job->host);
    if (!real) co_return std::move(real).error();
    spec = *std::move(real);
  }
  const auto config = config_digest(spec, front ? std::string() : buildkitd_toml(settings));
  spec.labels[std::string(ports::kSpecLabel)] = spec_digest(config, *image, "");
  auto id = co_await ports_.control.create_container(std::move(spec));
  if (!id) co_return std::move(id).with_context(format("create {}", container)).error();
  auto started = co_await ports_.control.act_on_container(*id, ports::ContainerVerb::kStart);
  co_return std::move(started).with_context(format("start {}", container));
}

ports::Async<void> StepExecutor::start(const Job* job, std::string container) {
  auto prepared = co_await prepare(job);
  if (!prepared) co_return prepared;
  co_return co_await act(job, std::move(container), ports::ContainerVerb::kStart);
}

// The folder that it serves is bound anew with each start, so it must be there.
ports::Async<void> StepExecutor::restart(const Job* job, std::string container) {
  auto prepared = co_await prepare(job);
  if (!prepared) co_return prepared;
  co_return co_await act(job, std::move(container), ports::ContainerVerb::kRestart);
}

ports::Async<void> StepExecutor::act(const Job* job, std::string container, ports::ContainerVerb verb) {
  const auto* observed = find(job->seen, *job->builder, container);
  if (observed == nullptr || observed->id.empty()) {
    co_return Error(Errc::kNotFound, format("{} was not there when it was looked at", container));
  }
  auto done = co_await ports_.control.act_on_container(observed->id, verb);
  // Gone already is what was wanted.
  const bool gone = !done && done.error().code() == Errc::kNotFound && verb == ports::ContainerVerb::kRemove;
  if (gone) co_return Result<void>{};
  co_return std::move(done).with_context(container);
}

void StepExecutor::record(Builder& builder, const policy::BuilderStep& step, const Result<void>& result) {
  if (result && builder.outage) {
    builder.outage->done.push_back(format("{} {}", policy::to_string(step.action), step.container));
    return;
  }
  const bool overtaken = !result && was_overtaken(result.error());
  if (overtaken && builder.overtaken < kMostOvertaken) return;
  ports::Event event;
  event.kind = result ? "builder.step" : "builder.step_failed";
  event.severity = result ? ports::Severity::kInfo : ports::Severity::kWarning;
  event.reason = result ? step.reason
                        : format("{} of {} {}: {}", policy::to_string(step.action), step.container,
                                 overtaken ? "came too late again and again" : "failed", result.error().message());
  event.rule = step.rule;
  event.fields = {{"builder", builder.settings.name},
                  {"action", std::string(policy::to_string(step.action))},
                  {"container", step.container}};
  ports_.journal.record(std::move(event));
}

}  // namespace buildwarden::builders
