#include "daemon/telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "daemon/telemetry/families.h"

namespace buildwarden::telemetry {
namespace {

constexpr std::array kRungs = {
    policy::RungId::kLeftovers,  policy::RungId::kContainers, policy::RungId::kDanglingImages,
    policy::RungId::kBuildCache, policy::RungId::kImages,     policy::RungId::kBuildCacheShare,
    policy::RungId::kOrphans,    policy::RungId::kCheckouts,  policy::RungId::kLastResort,
};

constexpr std::array<std::pair<RunResult, const char*>, 3> kResults = {
    {{RunResult::kFreed, "freed"}, {RunResult::kNothing, "nothing"}, {RunResult::kFailed, "failed"}}};

// Seconds: from one deletion to a climb of several minutes.
const prometheus::Histogram::BucketBoundaries kReclaimBuckets = {0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300};
// Seconds: 1 ms is a busy loop, 100 ms misses the promise to heal a builder within them.
const prometheus::Histogram::BucketBoundaries kStallBuckets = {0.001, 0.002, 0.005, 0.01, 0.025, 0.05,
                                                               0.1,   0.25,  0.5,   1,    5};

struct RungInstruments {
  std::map<RunResult, prometheus::Counter*> runs;
  prometheus::Counter* bytes = nullptr;
  prometheus::Histogram* seconds = nullptr;
};

}  // namespace

// Registered for every rung at once, so that each counter exists at zero.
struct Metrics::Instruments {
  prometheus::Registry registry;
  std::map<policy::RungId, RungInstruments> rungs;
  prometheus::Histogram* stall = nullptr;

  explicit Instruments(const std::string& version) {
    add_rungs();
    stall = &prometheus::BuildHistogram()
                 .Name("buildwarden_loop_stall_seconds")
                 .Help("How late the loop ran a timer, in seconds.")
                 .Register(registry)
                 .Add({}, kStallBuckets);
    prometheus::BuildGauge()
        .Name("buildwarden_build_info")
        .Help("Always 1; the label says which version runs.")
        .Register(registry)
        .Add({{"version", version}})
        .Set(1);
  }

  void add_rungs() {
    auto& runs = prometheus::BuildCounter()
                     .Name("buildwarden_reclaim_runs_total")
                     .Help("Times that a rung of the ladder was climbed, by what came of it.")
                     .Register(registry);
    auto& bytes = prometheus::BuildCounter()
                      .Name("buildwarden_reclaimed_bytes_total")
                      .Help("Bytes that a rung made free, measured on the filesystem.")
                      .Register(registry);
    auto& took = prometheus::BuildHistogram()
                     .Name("buildwarden_reclaim_seconds")
                     .Help("How long a rung took, in seconds.")
                     .Register(registry);
    for (const auto rung : kRungs) {
      const std::string name(to_string(rung));
      auto& made = rungs[rung];
      for (const auto& [result, text] : kResults) made.runs[result] = &runs.Add({{"rung", name}, {"result", text}});
      made.bytes = &bytes.Add({{"rung", name}});
      made.seconds = &took.Add({{"rung", name}}, kReclaimBuckets);
    }
  }
};

Metrics::Metrics(const MetricsSources& sources, const std::string& version)
    : sources_(sources), instruments_(std::make_unique<Instruments>(version)) {}

Metrics::~Metrics() = default;

void Metrics::rung_ran(const RungRun& run) {
  const auto& rung = instruments_->rungs.at(run.rung);
  rung.runs.at(run.result)->Increment();
  rung.bytes->Increment(static_cast<double>(std::max<Bytes>(run.freed, 0)));
  rung.seconds->Observe(run.took.count());
}

void Metrics::loop_stalled(std::chrono::duration<double> lateness) { instruments_->stall->Observe(lateness.count()); }

std::string Metrics::text() const {
  Families families = instruments_->registry.Collect();
  if (sources_.disk != nullptr) add_disk(families, sources_.disk->disk_view());
  if (sources_.builders != nullptr) add_builders(families, sources_.builders->builders_view());
  if (sources_.jobs != nullptr) add_jobs(families, sources_.jobs->jobs_view());
  if (sources_.engine != nullptr) add_engine(families, sources_.engine->status());
  if (sources_.events != nullptr) add_events(families, *sources_.events);
  std::sort(families.begin(), families.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  for (auto& family : families) {
    for (auto& metric : family.metric) std::sort(metric.label.begin(), metric.label.end());
    std::sort(family.metric.begin(), family.metric.end(),
              [](const auto& a, const auto& b) { return a.label < b.label; });
  }
  return prometheus::TextSerializer().prometheus::Serializer::Serialize(families);
}

}  // namespace buildwarden::telemetry
