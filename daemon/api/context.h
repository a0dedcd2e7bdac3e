// All that the API needs of the rest, in one place; the wiring fills it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "daemon/ports/builders.h"
#include "daemon/ports/config.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/emulation.h"
#include "daemon/ports/ending_jobs.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/event_archive.h"
#include "daemon/ports/health.h"
#include "daemon/ports/instance.h"
#include "daemon/ports/jobs.h"
#include "daemon/ports/journal.h"
#include "daemon/ports/operations.h"
#include "daemon/ports/prefetch.h"
#include "daemon/ports/seeds.h"
#include "daemon/ports/worth.h"

namespace buildwarden::api {

// Calls `listener` on the loop after each recorded event until the handle is destroyed.
using SubscribeEvents = std::function<std::shared_ptr<void>(std::function<void()> listener)>;

// Pointers are never null and outlive the Api; every call is made on the loop.
struct ApiContext {
  const Clock* clock = nullptr;
  ports::Readiness readiness;
  std::function<std::string()> config_json;   // the whole answer of /v1/config: {"settings":[…]}
  std::function<std::string()> metrics_text;  // Prometheus text format 0.0.4
  std::function<void(std::string_view)> http_failed = [](std::string_view) {};  // name_of() a Failure
  // Told of each request that was answered: its route as "GET /v1/jobs/{id}" ("" without one), the status, the time.
  std::function<void(const std::string&, int, std::chrono::duration<double>)> http_answered;
  const ports::ConfigViews* config = nullptr;
  const ports::EngineState* engine = nullptr;
  const ports::DiskViews* disk = nullptr;
  const ports::BuilderViews* builders = nullptr;
  ports::BuilderControl* builder_control = nullptr;
  const ports::SeedViews* seeds = nullptr;
  ports::SeedControl* seed_control = nullptr;
  const ports::JobViews* jobs = nullptr;
  const ports::SavingsViews* savings = nullptr;
  const ports::PrefetchViews* prefetch = nullptr;
  const ports::EmulatorViews* emulators = nullptr;
  ports::Platforms* platforms = nullptr;
  const ports::TerminationViews* termination = nullptr;
  ports::JobAdmissions* admissions = nullptr;
  ports::Space* space = nullptr;
  ports::EndingJobs* ending_jobs = nullptr;
  const ports::EventSource* events = nullptr;
  ports::EventArchive* event_archive = nullptr;
  SubscribeEvents subscribe;
  ports::OperationStore* operation_store = nullptr;
  std::optional<gid_t> agent_group;        // may read, start jobs and ask for space; nobody but root without it
  std::string host_name;                   // the machine's own name, good as a Host
  std::vector<std::string> allowed_hosts;  // further ones
  std::string version;
  std::function<bool()> dry_run = [] { return false; };     // of the whole daemon, now
  std::function<bool()> pause_agent = [] { return true; };  // on_full.pause_agent, now
  Duration reclaim_wait = std::chrono::minutes{10};         // at most, for one reclaim on request
  Duration answer_within = std::chrono::seconds{1};         // then a POST answers 202
  Duration event_heartbeat = std::chrono::seconds{15};      // of a follower of events
};

}  // namespace buildwarden::api
