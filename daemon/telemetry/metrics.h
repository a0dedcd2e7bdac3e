// What Prometheus reads. States are pulled from the rooms' views at each scrape; only what no view holds (how long
// things took) is told to us as it happens.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "daemon/policy/candidate.h"
#include "daemon/ports/builders.h"
#include "daemon/ports/disk.h"
#include "daemon/ports/engine.h"
#include "daemon/ports/jobs.h"
#include "daemon/telemetry/event_log.h"

namespace buildwarden::telemetry {

// All outlive the Metrics. A room that is not there (nullptr) has no series.
struct MetricsSources {
  const ports::DiskViews* disk = nullptr;
  const ports::BuilderViews* builders = nullptr;
  const ports::JobViews* jobs = nullptr;
  const ports::EngineState* engine = nullptr;
  const EventLog* events = nullptr;
};

enum class RunResult : std::uint8_t { kFreed, kNothing, kFailed };

// One rung that was climbed for one filesystem.
struct RungRun {
  policy::RungId rung = policy::RungId::kLeftovers;
  RunResult result = RunResult::kNothing;
  Bytes freed = 0;  // as statvfs shows it; below 0 counts as 0, since others write meanwhile
  std::chrono::duration<double> took{0};
};

// For the loop's thread alone.
class Metrics {
 public:
  Metrics(const MetricsSources& sources, const std::string& version);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void rung_ran(const RungRun& run);
  void loop_stalled(std::chrono::duration<double> lateness);

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
