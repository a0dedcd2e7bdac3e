#include "daemon/telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <set>
#include <utility>

#include "common/visible_text.h"
#include "daemon/telemetry/families.h"
#include "daemon/telemetry/process_families.h"
#include "daemon/telemetry/sensor_families.h"

namespace buildwarden::telemetry {
namespace {

// Seconds: 1 ms is a busy loop, 100 ms misses the promise to heal a builder within them.
const prometheus::Histogram::BucketBoundaries kStallBuckets = {0.001, 0.002, 0.005, 0.01, 0.025, 0.05,
                                                               0.1,   0.25,  0.5,   1,    5};

// Seconds: a ping takes 0.1 ms, a list of many records a second, pulls and prunes minutes. Few, since each is a series
// of every route.
const prometheus::Histogram::BucketBoundaries kEngineBuckets = {0.001, 0.0025, 0.01, 0.05, 0.25, 1, 5, 60, 300};

// Seconds: most answers take a tenth of a millisecond, work that is waited for a second. Few, as above.
const prometheus::Histogram::BucketBoundaries kHttpBuckets = {0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 30};

// Seconds: of a small volume on a fast disk, of 20 GiB through a slow network.
const prometheus::Histogram::BucketBoundaries kSeedBuckets = {1, 2.5, 5, 10, 30, 60, 120, 300, 1800};

// Prometheus refuses a whole scrape for one label that is no UTF-8, and names come from mount tables and engines.
void finish(prometheus::ClientMetric& metric) {
  for (auto& label : metric.label) label.value = as_utf8(label.value);
  std::sort(metric.label.begin(), metric.label.end());
}

}  // namespace

struct Metrics::Instruments {
  prometheus::Registry registry;
  prometheus::Histogram* stall = nullptr;
  prometheus::Family<prometheus::Histogram>* engine = nullptr;
  prometheus::Family<prometheus::Histogram>* engine_by_old_name = nullptr;
  prometheus::Family<prometheus::Histogram>* http = nullptr;
  std::set<std::pair<std::string, int>> http_pairs;
  prometheus::Family<prometheus::Counter>* http_failures = nullptr;
  prometheus::Counter* loop_exceptions = nullptr;
  prometheus::Family<prometheus::Histogram>* seed_seconds = nullptr;
  prometheus::Family<prometheus::Counter>* seed_operations = nullptr;

  Instruments(const std::string& version, const std::string& revision) {
    stall = &prometheus::BuildHistogram()
                 .Name("buildwarden_loop_stall_seconds")
                 .Help("How late the loop ran a timer, in seconds.")
                 .Register(registry)
                 .Add({}, kStallBuckets);
    engine = &prometheus::BuildHistogram()
                  .Name("buildwarden_engine_request_duration_seconds")
                  .Help("How long the engine took to answer, in seconds, by method and route.")
                  .Register(registry);
    engine_by_old_name = &prometheus::BuildHistogram()
                              .Name("buildwarden_engine_request_seconds")
                              .Help("In 0.1 only: engine_request_duration_seconds by its old name.")
                              .Register(registry);
    http = &prometheus::BuildHistogram()
                .Name("buildwarden_http_request_duration_seconds")
                .Help("How long the API took to answer, in seconds, by route and status; of a stream until it begins.")
                .Register(registry);
    http_failures = &prometheus::BuildCounter()
                         .Name("buildwarden_http_failures_total")
                         .Help("Connections and requests of the API that went wrong, by what it was.")
                         .Register(registry);
    loop_exceptions = &prometheus::BuildCounter()
                           .Name("buildwarden_loop_exceptions_total")
                           .Help("Exceptions that left a handler of the loop, which went on. Each is a mistake.")
                           .Register(registry)
                           .Add({});
    seed_seconds = &prometheus::BuildHistogram()
                        .Name("buildwarden_seed_seconds")
                        .Help("How long restores and saves of builders' seeds took, in seconds.")
                        .Register(registry);
    seed_operations = &prometheus::BuildCounter()
                           .Name("buildwarden_seed_operations_total")
                           .Help("Restores and saves of builders' seeds, by the result.")
                           .Register(registry);
    for (const char* operation : {"restore", "save"}) {
      for (const char* result : {"done", "none", "refused", "failed", "given_up"}) {
        seed_operations->Add({{"operation", operation}, {"result", result}});
      }
    }
    prometheus::BuildGauge()
        .Name("buildwarden_build_info")
        .Help("Always 1; the labels say which version runs, and of which commit it was made.")
        .Register(registry)
        .Add({{"version", version}, {"revision", revision}})
        .Set(1);
  }
};

Metrics::Metrics(const MetricsSources& sources, const std::string& version, const std::string& revision)
    : sources_(sources), instruments_(std::make_unique<Instruments>(version, revision)) {}

Metrics::~Metrics() = default;

void Metrics::loop_stalled(std::chrono::duration<double> lateness) { instruments_->stall->Observe(lateness.count()); }

void Metrics::engine_asked(const std::string& method, const std::string& route, std::chrono::duration<double> took) {
  const prometheus::Labels labels = {{"method", method}, {"route", route}};
  instruments_->engine->Add(labels, kEngineBuckets).Observe(took.count());
  instruments_->engine_by_old_name->Add(labels, kEngineBuckets).Observe(took.count());
}

void Metrics::http_answered(const std::string& route, int status, std::chrono::duration<double> took) {
  auto& pairs = instruments_->http_pairs;
  auto pair = std::pair(route.empty() ? std::string("none") : route, status);
  if (pairs.size() >= kMostHttpPairs && !pairs.contains(pair)) pair = {"other", 0};
  if (pair.second != 0) pairs.insert(pair);
  const prometheus::Labels labels = {{"route", pair.first},
                                     {"code", pair.second == 0 ? "other" : std::to_string(pair.second)}};
  instruments_->http->Add(labels, kHttpBuckets).Observe(took.count());
}

void Metrics::http_may_fail(const std::string& reason) { instruments_->http_failures->Add({{"reason", reason}}); }

void Metrics::http_failed(const std::string& reason) {
  instruments_->http_failures->Add({{"reason", reason}}).Increment();
}

void Metrics::seed_finished(const SeedLabels& labels, Duration took) {
  instruments_->seed_operations->Add({{"operation", labels.operation}, {"result", labels.result}}).Increment();
  instruments_->seed_seconds->Add({{"builder", labels.builder}, {"operation", labels.operation}}, kSeedBuckets)
      .Observe(std::chrono::duration<double>(took).count());
}

void Metrics::loop_threw() { instruments_->loop_exceptions->Increment(); }

std::string Metrics::text() const {
  Families families = instruments_->registry.Collect();
  SensorRows sensors;
  if (sources_.disk != nullptr) {
    const auto view = sources_.disk->disk_view();
    add_disk(families, view);
    add_rungs(families, view);
    append_sensors(sensors, view);
  }
  if (sources_.builders != nullptr) {
    const auto view = sources_.builders->builders_view();
    add_builders(families, view);
    append_sensors(sensors, view);
  }
  if (sources_.emulators != nullptr) {
    const auto view = sources_.emulators->emulators_view();
    add_emulators(families, view);
    append_sensors(sensors, view);
  }
  if (sources_.seeds != nullptr) add_seeds(families, sources_.seeds->seeds_view());
  if (sources_.savings != nullptr) add_savings(families, sources_.savings->savings_view());
  if (sources_.jobs != nullptr) add_jobs(families, sources_.jobs->jobs_view());
  if (sources_.engine != nullptr) {
    const auto status = sources_.engine->status();
    add_engine(families, status);
    append_sensors(sensors, status);
  }
  if (sources_.events != nullptr) add_events(families, *sources_.events);
  if (sources_.termination != nullptr) add_termination(families, sources_.termination->termination_view());
  if (sources_.config != nullptr) add_config(families, sources_.config->config_view());
  add_sensors(families, sensors);
  add_process(families);
  std::sort(families.begin(), families.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  for (auto& family : families) {
    for (auto& metric : family.metric) finish(metric);
    std::sort(family.metric.begin(), family.metric.end(),
              [](const auto& a, const auto& b) { return a.label < b.label; });
  }
  return prometheus::TextSerializer().prometheus::Serializer::Serialize(families);
}

}  // namespace buildwarden::telemetry
