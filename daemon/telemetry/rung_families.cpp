#include "daemon/telemetry/families.h"
#include "daemon/telemetry/family.h"

namespace buildwarden::telemetry {
void add_rungs(Families& families, const ports::DiskView& view) {
  auto runs = counters("reclaim_runs_total", "Times that a rung of the ladder was climbed, by what came of it.");
  auto bytes = counters("reclaimed_bytes_total", "Bytes that a rung made free, measured on the filesystem.");
  auto took = family("reclaim_seconds", "How long a rung took, in seconds.", prometheus::MetricType::Histogram);
  for (const auto& rung : view.rungs) {
    for (const auto& [result, times] : rung.runs) add(runs, {{"rung", rung.rung}, {"result", result}}, times);
    add(bytes, {{"rung", rung.rung}}, rung.freed);
    took.metric.push_back(
        histogram_metric({{"rung", rung.rung}}, rung.seconds_buckets, ports::kRungSecondsBounds, rung.seconds_sum));
  }
  keep(families, {&runs, &bytes, &took});
}

}  // namespace buildwarden::telemetry
