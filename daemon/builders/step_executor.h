// Carries out the steps that policy decided on, one builder's at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/worker.h"
#include "daemon/builders/builder.h"
#include "daemon/builders/images.h"
#include "daemon/builders/observer.h"
#include "daemon/builders/spec.h"
#include "daemon/policy/builder.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/journal.h"

namespace buildwarden::builders {

// Makes the host's side: the socket folder (root:<agent group>, 0750), and the folder with buildkitd.toml and the
// registries' CAs; and remembers which volume it is on. Safe to repeat; needed again after each boot, since the former
// is of a tmpfs. Syncs to the disk, so not for the loop.
Result<void> prepare_host(const BuilderSettings& builder, const HostFacts& host);

struct StepPorts {
  WorkerPool& files;
  ports::ContainerControl& control;
  ports::Images& images;
  ports::Journal& journal;
};

// The container changed between the look and the act (removed, being removed, made by another): no failure of ours,
// but a reason to look again.
bool was_overtaken(const Error& error);

class StepExecutor {
 public:
  StepExecutor(StepPorts ports, ImageProvider& provider) : ports_(ports), provider_(provider) {}

  // What is done during an outage is told with its end, by that alone; what came too late is told when it did so again
  // and again.
  // In order, until the first failure, which is recorded and returned, or until the builder's loop timer is stopped
  // (kCancelled): a stop that comes just as a step ends breaks nothing off. What `seen` shows is acted on by its id, so
  // that a container that somebody put in its place meanwhile is not touched (kNotFound).
  ports::Async<void> carry_out(Builder* builder, std::vector<policy::BuilderStep> steps, Observation seen,
                               HostFacts host);

 private:
  struct Job {
    const Builder* builder;
    Observation seen;
    HostFacts host;
  };
  ports::Async<void> one(const Job* job, const policy::BuilderStep* step);
  ports::Async<void> prepare(const Job* job);
  ports::Async<void> create(const Job* job, std::string container, bool front);
  ports::Async<void> start(const Job* job, std::string container);
  ports::Async<void> restart(const Job* job, std::string container);
  ports::Async<void> act(const Job* job, std::string container, ports::ContainerVerb verb);
  void record(Builder& builder, const policy::BuilderStep& step, const Result<void>& result);

  StepPorts ports_;
  ImageProvider& provider_;
};

}  // namespace buildwarden::builders
