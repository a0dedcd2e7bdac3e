// What Prometheus reads. All is pulled from the rooms' views at each scrape, but for the loop's own stalls, which
// nobody else keeps.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "daemon/ports/builders.h"
#include "daemon/ports/config.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/emulation.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/instance.h"
#include "daemon/ports/jobs.h"
#include "daemon/ports/seeds.h"
#include "daemon/ports/worth.h"
#include "daemon/telemetry/event_log.h"

namespace buildwarden::telemetry {

// All outlive the Metrics. A room that is not there (nullptr) has no series.
struct MetricsSources {
  const ports::DiskViews* disk = nullptr;
  const ports::BuilderViews* builders = nullptr;
  const ports::JobViews* jobs = nullptr;
  const ports::EngineState* engine = nullptr;
  const EventLog* events = nullptr;
  const ports::ConfigViews* config = nullptr;
  const ports::EmulatorViews* emulators = nullptr;
  const ports::TerminationViews* termination = nullptr;
  const ports::SeedViews* seeds = nullptr;
  const ports::SavingsViews* savings = nullptr;
};

// For the loop's thread alone.
class Metrics {
 public:
  Metrics(const MetricsSources& sources, const std::string& version, const std::string& revision = "unknown");
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void loop_stalled(std::chrono::duration<double> lateness);
  // The engine answered, or did not, after `took`. There must be few methods and routes: each pair is a series.
  void engine_asked(const std::string& method, const std::string& route, std::chrono::duration<double> took);

  // A request of the API was answered after `took`. `route`: "GET /v1/jobs/{id}"; "" when it has none. Beyond
  // kMostHttpPairs pairs of route and status all others count as the route "other".
  void http_answered(const std::string& route, int status, std::chrono::duration<double> took);
  static constexpr std::size_t kMostHttpPairs = 48;

  // Something went wrong on a connection of the API; `reason` is one of api/failures.h, few. Those that may come are
  // there from the start, at zero.
  void http_may_fail(const std::string& reason);
  void http_failed(const std::string& reason);
  // A restore or a save of a builder's seed is over; operation and result are few words.
  struct SeedLabels {
    std::string builder;
    std::string operation;
    std::string result;
  };
  void seed_finished(const SeedLabels& labels, Duration took);
  // A handler of the loop threw, and the loop went on.
  void loop_threw();

  // The whole exposition, text format 0.0.4. Families are in the order of their names.
  [[nodiscard]] std::string text() const;

 private:
  struct Instruments;
  MetricsSources sources_;
  std::unique_ptr<Instruments> instruments_;
};

// The Content-Type of text().
inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace buildwarden::telemetry
