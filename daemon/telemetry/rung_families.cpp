#include <limits>

#include "daemon/telemetry/families.h"
#include "daemon/telemetry/family.h"

namespace buildwarden::telemetry {
namespace {

// The room counts each bucket by itself; the format wants them cumulated, the last one without a bound.
prometheus::ClientMetric histogram_of(const ports::RungStats& rung) {
  prometheus::ClientMetric metric;
  metric.label = {{"rung", rung.rung}};
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < rung.seconds_buckets.size(); ++i) {
    total += rung.seconds_buckets[i];
    const bool last = i == ports::kRungSecondsBounds.size();
    prometheus::ClientMetric::Bucket bucket;
    bucket.cumulative_count = total;
    bucket.upper_bound = last ? std::numeric_limits<double>::infinity() : ports::kRungSecondsBounds.at(i);
    metric.histogram.bucket.push_back(bucket);
  }
  metric.histogram.sample_count = total;
  metric.histogram.sample_sum = rung.seconds_sum;
  return metric;
}

}  // namespace

void add_rungs(Families& families, const ports::DiskView& view) {
  auto runs = counters("reclaim_runs_total", "Times that a rung of the ladder was climbed, by what came of it.");
  auto bytes = counters("reclaimed_bytes_total", "Bytes that a rung made free, measured on the filesystem.");
  auto took = family("reclaim_seconds", "How long a rung took, in seconds.", prometheus::MetricType::Histogram);
  for (const auto& rung : view.rungs) {
    for (const auto& [result, times] : rung.runs) add(runs, {{"rung", rung.rung}, {"result", result}}, times);
    add(bytes, {{"rung", rung.rung}}, rung.freed);
    took.metric.push_back(histogram_of(rung));
  }
  keep(families, {&runs, &bytes, &took});
}

}  // namespace buildwarden::telemetry
